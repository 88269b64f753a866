"""``hesi-erp``: what an operator types. Standard output carries the answer, standard error progress and log lines.

Exit status: 0 green or amber, 1 red or stopped, 2 wrong configuration or arguments, 130 interrupted. Every import that
takes time happens inside the function of its command, so that ``--help`` answers at once and a command loads only what
it uses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from etl import __version__

GREEN_OR_AMBER, RED, WRONG_CONFIGURATION, INTERRUPTED = 0, 1, 2, 130
_SETTINGS = "Settings come from the environment: docs/settings.md lists them all, `hesi-erp check-config` checks them."


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status of one command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["sandbox"]:
        from etl.commands.sandbox import start_sandbox

        return start_sandbox(arguments[1:])
    options = _parser().parse_args(arguments)
    from etl.commands.errors import guarded

    return guarded(options)


def _run(options: argparse.Namespace) -> int:
    from etl.commands.runs import run_command

    return run_command(options)


def _replay(options: argparse.Namespace) -> int:
    from etl.commands.runs import replay_command

    return replay_command(options)


def _accept(options: argparse.Namespace) -> int:
    from etl.commands.runs import accept_command

    return accept_command(options)


def _accept_payment(options: argparse.Namespace) -> int:
    from etl.commands.runs import accept_payment_command

    return accept_payment_command(options)


def _clear_number(options: argparse.Namespace) -> int:
    from etl.commands.runs import clear_number_command

    return clear_number_command(options)


def _reconcile(options: argparse.Namespace) -> int:
    from etl.commands.runs import reconcile_command

    return reconcile_command(options)


def _check_config(options: argparse.Namespace) -> int:
    from etl.commands.check_config import check_config_command

    return check_config_command(options)


def _explain(options: argparse.Namespace) -> int:
    from etl.commands.explain import explain_command

    return explain_command(options)


def _evidence(options: argparse.Namespace) -> int:
    from etl.commands.evidence import evidence_command

    return evidence_command(options)


def _audit(options: argparse.Namespace) -> int:
    from etl.commands.audit import audit_command

    return audit_command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hesi-erp", description="Approved Hesi expense claims become balanced, audited ERP vouchers.", epilog=_SETTINGS)
    parser.add_argument("--version", action="version", version=f"hesi-erp {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON document on standard output, nothing else")
    common.add_argument("--verbose", action="store_true", help="log lines on standard error, besides the file under HESI_ERP_HOME/logs")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def verb(name: str, command: Callable[[argparse.Namespace], int], *, does: str, details: str = "") -> argparse.ArgumentParser:
        added = verbs.add_parser(name, parents=[common], help=does, description=f"{does[0].upper()}{does[1:]}. {details}", epilog=_SETTINGS)
        added.set_defaults(command=command)
        return added

    run = verb("run", _run, does="read Hesi, post every approved claim, tie out and write numbers back", details="Blocks until at rest.")
    run.add_argument("--full", action="store_true", help="ignore the watermark and read every claim again; nothing is posted twice")
    # Known to the parser for --help only: main() hands everything behind the word to the sandbox itself.
    verbs.add_parser("sandbox", add_help=False, help="start a fake Hesi for trials and tests (sandbox --help)")
    verb("check-config", _check_config, does="report every mistake in settings, mappings and validation suites")
    explain = verb("explain", _explain, does="tell how a claim became its vouchers, or why it did not, and whose voucher a number is")
    explain.add_argument("query", metavar="CLAIM_CODE", help="a claim's number, or a voucher's: C01/2026-03/记-12 or 记-12")
    replay = verb("replay", _replay, does="decide open rejected, held and waiting claims again", details="Each is read from Hesi afresh, one call per claim.")
    replay.add_argument("codes", metavar="CLAIM_CODE", nargs="*", help="only these claims; default: all that are open")
    accept = verb(
        "accept",
        _accept,
        does="reverse and post anew what changed after posting (HESI_ERP_REVERSALS=propose)",
        details="The listed version of each claim is taken.",
    )
    accept.add_argument("codes", metavar="CLAIM_CODE", nargs="+", help="claims of the drift list")
    payment = verb(
        "accept-payment",
        _accept_payment,
        does="post money that left to the suspense account, before its claim can be posted",
        details="The refused claim stays listed; the run that posts it moves the money to the payable.",
    )
    payment.add_argument("codes", metavar="CLAIM_CODE", nargs="+", help="claims the run report lists as paid, not posted")
    payment.add_argument("--by", default="", metavar="NAME", help="who accepts")
    payment.add_argument("--reason", default="", metavar="TEXT", help="why it cannot wait")
    clear = verb("clear-number", _clear_number, does="take the numbers of reversed vouchers out of Hesi", details="A number whose voucher stands is left.")
    clear.add_argument("codes", metavar="CLAIM_CODE", nargs="+", help="claims whose voucher was reversed")
    verb("reconcile", _reconcile, does="tie out the vouchers against what became of every claim", details="Hesi is not asked and nothing is posted.")
    evidence = verb("evidence", _evidence, does="build the evidence pack of a month for each company", details="Nothing is posted or deleted.")
    evidence.add_argument("action", nargs="?", choices=("pack", "destruction-list"), default="pack", help="destruction-list names what is past its retention")
    evidence.add_argument("--period", metavar="YYYY-MM", help="fiscal month of the pack")
    evidence.add_argument("--company", metavar="CODE", help="only this company; default: one pack for each")
    evidence.add_argument("--seed", type=int, default=20_160_101, metavar="N", help="seed of the random sample (default %(default)s)")
    evidence.add_argument("--out", type=Path, metavar="DIR", help="where packs are written; default: HESI_ERP_HOME/evidence")
    evidence.add_argument("--before", metavar="YYYY-MM-DD", help="destruction-list: what had to be kept until before this day")
    audit = verb("audit", _audit, does="check the audit log against the database and its anchors, and look after its keys")
    audit.add_argument("act", choices=("check", "acknowledge", "new-key"), help="check; acknowledge: record who accepts the log's gaps; new-key: make a pair")
    audit.add_argument("--all", action="store_true", help="check: hash every voucher again, not only those of this month and the last")
    audit.add_argument("--key", action="append", default=[], metavar="PUBLIC_KEY", help="check: trusted public key or its file; default: our own")
    audit.add_argument("--by", default="", metavar="NAME", help="acknowledge: who accepts")
    audit.add_argument("--reason", default="", metavar="TEXT", help="acknowledge: why")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
