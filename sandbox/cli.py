"""The command `sandbox`: start a fake Hesi and say where it listens."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.clock import DEFAULT_NOW_MS
from sandbox.journal import StateMismatch

DEFAULT_CLAIMS = 2000
DEFAULT_SEED = 7


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 after SIGINT or SIGTERM, 2 when it could not start."""
    options = _parser().parse_args(argv)
    # Imported late so that --help answers at once.
    from sandbox.server import serve
    from sandbox.tenant import build

    signals = _Signals()
    if options.host not in ("127.0.0.1", "::1", "localhost"):
        print(
            f"warning: {options.host} is not this machine only; the sandbox has no secrets to protect", file=sys.stderr
        )

    def ready(url: str, port: int) -> None:
        signals.serving = True
        _announce(url, port, options.port_file)

    try:
        tenant = build(options.claims, options.seed, now_ms=DEFAULT_NOW_MS, calm=options.calm)
        serve(
            tenant,
            port=options.port,
            host=options.host,
            state_dir=options.state,
            app_key=options.app_key,
            app_security=options.app_security,
            on_ready=ready,
        )
    except (StateMismatch, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    except _Ended:
        return 0
    return 0


class _Ended(Exception):
    """A signal came while the tenant was still being built."""


class _Signals:
    """Ends a start by raising; once the server answers, uvicorn ends it and the repeated signal means nothing."""

    def __init__(self) -> None:
        self.serving = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._received)

    def _received(self, number: int, _frame: object) -> None:
        if not self.serving:
            raise _Ended(number)


def _announce(url: str, port: int, port_file: Path | None) -> None:
    if port_file is not None:
        beside = port_file.with_name(port_file.name + ".new")
        beside.write_text(f"{port}\n", encoding="ascii")
        beside.replace(port_file)
    print(f"listening {url}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox", description="A fake Hesi for trials and tests. It is not Hesi.")
    parser.add_argument(
        "--claims", type=_positive, default=DEFAULT_CLAIMS, metavar="N", help="how many claims (default %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, metavar="S", help="the same seed makes the same tenant"
    )
    parser.add_argument(
        "--calm", action="store_true", help="no bad, awkward, archived or foreign claim: a run over it ends green"
    )
    parser.add_argument("--port", type=int, default=0, metavar="P", help="0 takes a free port (default)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep changes here for the next start")
    parser.add_argument("--port-file", type=Path, metavar="FILE", help="write the port here when ready")
    parser.add_argument("--app-key", default="sandbox-app-key", help="appKey to accept (default %(default)s)")
    parser.add_argument(
        "--app-security", default="sandbox-app-security", help="appSecurity to accept (default %(default)s)"
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1 claim")
    return value
