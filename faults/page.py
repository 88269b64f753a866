"""docs/reliability.md: what was broken how often, and what was observed."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from faults.case import Case
from faults.rig import Result

_FAMILIES = {"process": "The machine", "database": "The ERP database", "source": "Hesi", "domain": "The rules and two runs at once"}
_OBSERVATIONS = 4
_INTRODUCTION = """# Reliability: what was broken on purpose

Written by `make faults-full`; do not edit. Each case is a run of the product in a process of its own against the sandbox Hesi over
HTTP and a real database, broken once. The fault is proved to have happened: by the sandbox's count of broken answers, by the exit
status of the killed process, by the database's own error. Nothing inside the product is replaced, but for two results taken over
where every byte is the same as before: a parsed mapping file, and a suite over a frame that the fault-free run of that tenant
validated; where the validator, memory or disk is what fails, suites are evaluated every time. Files lie in memory if there is room.

After each case the next run, without fault, must end well; the run after that must change no row; an oracle that imports nothing of
the product (`faults/oracle.py`: plain Python, Decimal and SQL) must find nothing wrong; and the ERP database and Hesi must be in the
state of a run without any fault of the same tenant, except voucher numbers, batch names and the time of writing. What the oracle
checks:

| | |
|---|---|
| I1 | debits = credits, per voucher, in the book's base currency; no line without voucher, no voucher without lines |
| I2 | at most one standing voucher per claim, kind and part; numbers without gaps; every reversal the exact negative of what it names |
| I3 | every due claim of the source is posted to the cent, held, rejected or skipped; nothing else is posted |
| I4 | everything not posted has a rule, a reason, an owner and a date |
| I5 | the cursor is never ahead of what is stored |
| I6 | nothing is posted into a closed period |
| I7 | the number Hesi shows is the one posted; what is still to be written is listed |
| I8 | the audit log's chain holds and announces and confirms every batch |
| I9 | a run with nothing new changes nothing |
| I10 | no token, secret, password, telephone or card number in any log, report, ledger or table |

`make faults` carries out a selection of some 160 cases in less than five minutes; it is part of `make test`. A case that fails
prints the command that repeats it: `python -m faults --case ID`.
"""


def write_page(path: Path, cases: Sequence[Case], results: Mapping[str, Result], *, seconds: float) -> None:
    """The page, from the results of the full run."""
    survived = sum(result.survived for result in results.values())
    lines = [
        _INTRODUCTION,
        f"## Result\n\n**{len(results)} cases, {survived} survived, {len(results) - survived} failed.** {datetime.now(UTC):%Y-%m-%d}, "
        f"{seconds / 60:.0f} minutes on {_machine()}.\n",
    ]
    for family, title in _FAMILIES.items():
        lines += [f"## {title}\n", "| Fault | Cases | Survived | Observed |", "|---|---:|---:|---|"]
        faults = dict.fromkeys(case.fault for case in cases if case.family == family)
        lines += [_row(fault, [r for r in results.values() if (r.family, r.fault) == (family, fault)]) for fault in faults]
        lines.append("")
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _row(fault: str, results: list[Result]) -> str:
    seen = Counter(_alike(result.observed or f"FAILED: {result.problem[:100]}") for result in results)
    told = "<br>".join(f"{text.replace('|', '/')} ({count})" for text, count in seen.most_common(_OBSERVATIONS))
    more = len(seen) - _OBSERVATIONS
    return f"| {fault} | {len(results)} | {sum(result.survived for result in results)} | {told}{f'<br>and {more} more' if more > 0 else ''} |"


def _alike(observed: str) -> str:
    """Observations that differ in a number only are one."""
    return re.sub(r"\b\d+ (numbers|claims|tries)\b", r"n \1", observed)


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in ("SQLAlchemy", "psycopg"))
    return f"{cores} cores, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}, {libraries}"
