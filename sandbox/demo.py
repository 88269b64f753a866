"""``make demo``: claims of a sandbox tenant become posted vouchers in ``./.demo``, by the real Airflow DAG.

Everything it makes lies in that folder; a second demo, at any later time, finds nothing new and changes nothing. The
sandbox and Airflow are child processes in groups of their own, ended with the demo however it ends. No port is opened
except the sandbox's, on loopback.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from etl.audit.keys import new_key_pair
from sandbox.cli import DEFAULT_CLAIMS, DEFAULT_SEED
from sandbox.demo_children import Children, DagChild, DemoEnded, SandboxChild
from sandbox.demo_settings import DemoFolder, child_environment, write_env_file

DAG = "claims_nightly"
STEPS = ("extract", "stage", "map_fields", "check_budget", "validate", "load", "reconcile", "write_back", "report")
_FIELD = re.compile(r"(\w+)=(\S+)")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 green or amber, 1 red, 2 could not start, 130 after Ctrl-C."""
    options = _parser().parse_args(argv)
    folder = DemoFolder(options.folder.absolute())
    children = Children()
    try:
        children.watch_signals()
        with folder.locked():
            return _demonstrate(folder, children, options)
    except (OSError, RuntimeError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except DemoEnded:
        print("demo: ended; nothing is left running", file=sys.stderr)
        return 130
    finally:
        children.end()


def _demonstrate(folder: DemoFolder, children: Children, options: argparse.Namespace) -> int:
    began, clock = time.monotonic(), datetime.now(UTC)
    print(f"A sandbox tenant of {options.claims:,} claims (it is not Hesi) into {folder.erp}", flush=True)
    with folder.log() as log:
        hesi = SandboxChild(children, folder, claims=options.claims, seed=options.seed, log=log)
        print(f"  sandbox Hesi listens on {hesi.url}", flush=True)
        environment = child_environment(folder, hesi.url) | _audit_settings(folder)
        write_env_file(folder, environment, hesi.command)
        status = _show_progress(children.start_dag(DAG, environment, log))
    os.environ.update(environment)
    verdict = _summary(since=clock)
    if verdict is None:
        print(f"demo: Airflow stopped before a run began (status {status}); its log: {folder.airflow_log}", file=sys.stderr)
        return 2
    print(f"settings of this run: . {folder.env_file}")
    print(f"done in {time.monotonic() - began:.0f} s")
    return 1 if verdict == "red" or status else 0


def _audit_settings(folder: DemoFolder) -> dict[str, str]:
    """A key pair made once, so that the evidence pack of the demo can be verified, and a folder for the log's heads."""
    if not folder.keys.exists():
        with os.fdopen(os.open(folder.keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(new_key_pair()))
    private, public = folder.keys.read_text().split("\n")
    return {"HESI_ERP_SIGNING_KEY": private, "HESI_ERP_PUBLIC_KEY": public, "HESI_ERP_ANCHOR_DIR": str(folder.anchors)}


def _show_progress(dag: DagChild) -> int:
    for text in dag.lines():
        kind, _, rest = text.partition(" ")
        fields = dict(_FIELD.findall(rest))
        if kind == "phase":
            print(f"  {rest}", flush=True)
        elif kind == "step_started" and fields["step"] in STEPS:
            print(f"  [{STEPS.index(fields['step']) + 1}/{len(STEPS)}] {fields['step']} ...", flush=True)
        elif kind == "step_finished" and fields["step"] in STEPS:
            refused = "".join(f", {int(fields[name]):,} {name}" for name in ("rejected", "held") if fields[name] != "0")
            print(f"        {int(fields['rows_in']):,} in -> {int(fields['rows_out']):,} out{refused}, {fields['seconds']} s", flush=True)
        elif kind == "step_failed":
            print(f"        failed: {fields['code']}; Airflow tries again where that may help, after its pause of two minutes", flush=True)
    return dag.wait()


def _summary(*, since: datetime) -> str | None:
    """Prints the run begun ``since`` as ``hesi-erp run`` would; its verdict, None when there is none."""
    from etl.commands.summary import run_document, run_lines
    from etl.config.settings import load_settings
    from etl.pipeline.run import Outcome, Verdict
    from etl.report.write import ReportFiles
    from etl.store.ledger import Ledger

    settings = load_settings()
    with Ledger.open(settings.ledger_url.get_secret_value()) as ledger:
        run = next(iter(ledger.recent_runs(1)), None)
        if run is None or run.started_at < since:
            return None
        place = settings.home / "reports" / run.run_id / "run-report"
        files = ReportFiles(*(place.with_suffix(suffix) for suffix in (".html", ".xlsx", ".json"))) if place.with_suffix(".html").exists() else None
        verdict: Verdict = run.verdict or "red"  # type: ignore[assignment]
        document = run_document(ledger, Outcome(run.run_id, verdict, run.cause_text or "", files, {}))
    print()
    print("\n".join(run_lines(document)))
    return verdict


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description="A sandbox tenant's claims become posted vouchers, by the real Airflow DAG.")
    parser.add_argument("--claims", type=int, default=DEFAULT_CLAIMS, metavar="N", help="how many claims (default %(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, metavar="S", help="the same seed makes the same tenant")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), metavar="DIR", help="where everything is kept (default ./%(default)s)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
