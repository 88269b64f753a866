"""``python -m faults``: a selection, everything, or one case again."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # libraries must not start threads in the process that forks


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every case survived, 1 when one did not, 2 when there is no such case."""
    from faults.case import Case
    from faults.cases import catalogue
    from faults.journal import Journal
    from faults.page import write_page
    from faults.rig import Result, carry_out, warm
    from faults.selection import selection

    options = _options(arguments)
    cases = catalogue()
    chosen: list[Case] = cases if options.full else selection(cases)
    if options.case:
        chosen = [case for case in cases if case.id == options.case or (options.case.endswith("*") and case.id.startswith(options.case[:-1]))]
    if options.list:
        print("\n".join(case.id for case in chosen))
        return 0
    if not chosen:
        print(f"no case {options.case}; --full --list shows them all", file=sys.stderr)
        return 2
    journal = Journal(options.journal if options.full else None)
    known = journal.results({case.id for case in chosen})
    waiting = [case for case in chosen if case.id not in known]
    started = time.monotonic()

    def tell(result: Result) -> None:
        journal.add(result)
        known[result.case] = result
        if not result.survived:
            print(f"\nFAILED {result.case}: {result.problem}\n  again: python -m faults --case '{result.case}'", flush=True)
        elif options.case:
            print(f"{result.case}: {result.observed}", flush=True)
        elif len(known) % 10 == 0:
            print(f"\r{len(known)} of {len(chosen)} cases, {time.monotonic() - started:.0f} s", end="", file=sys.stderr, flush=True)

    if waiting:
        warm()
        carry_out(waiting, workers=options.workers, tell=tell)
    seconds = time.monotonic() - started
    failed = [result for result in known.values() if not result.survived]
    print(f"\n{len(known)} cases, {len(known) - len(failed)} survived, {len(failed)} failed, {seconds:.0f} s")
    if options.full:
        write_page(options.page, cases, known, seconds=journal.seconds(seconds))
    return 1 if failed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description="Breaks real runs on purpose and checks what they promise.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--slice", action="store_true", help="a selection of every fault, under five minutes on two cores (default)")
    what.add_argument("--full", action="store_true", help="every case; goes on where it was interrupted, and writes docs/reliability.md")
    what.add_argument("--case", default="", metavar="ID", help="one case again; a * at its end stands for any rest")
    parser.add_argument("--list", action="store_true", help="print the ids and do nothing")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)) + 1, metavar="N", help="cases at once (default %(default)s)")
    parser.add_argument("--journal", type=Path, default=Path(".faults/journal.jsonl"), metavar="FILE", help="results of --full (default %(default)s)")
    parser.add_argument("--page", type=Path, default=Path("docs/reliability.md"), metavar="FILE", help="written by --full (default %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
