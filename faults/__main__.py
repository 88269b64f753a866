"""``python -m faults``: a slice, everything, or one case again."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # libraries must not start threads in the process that forks


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every case survived, 1 when one did not, 2 for a case that does not exist."""
    from faults.cases import catalogue
    from faults import rig
    parser = argparse.ArgumentParser(prog="python -m faults")
    parser.add_argument("--match", default="")
    parser.add_argument("--each", type=int, default=0)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    o = parser.parse_args(arguments)
    rig.warm()
    chosen = [c for c in catalogue() if o.match in c.id][:o.limit]
    if o.each:
        import random
        by = {}
        for c in chosen: by.setdefault((c.family,c.fault),[]).append(c)
        chosen=[c for v in by.values() for c in random.Random(3).sample(v,min(o.each,len(v))) if not c.large]
    rs = rig.carry_out(chosen, workers=o.workers, tell=lambda r: print("ok  " if r.survived else "FAIL", r.case, r.seconds, r.observed or r.problem, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
