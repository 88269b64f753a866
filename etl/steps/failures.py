"""Collects why entries are not posted, in the order the reasons are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from etl.rejects import CATALOGUE, OWNER_NAMES


@dataclass
class Failures:
    """First rule wins, all reasons are kept; keyed by row number of the entries frame."""

    mapping_owner: str = ""
    found: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # row -> rule, disposition, reason

    def add(self, row: int, rule: str, reason: str, *, disposition: str | None = None) -> None:
        """One reason for one entry."""
        earlier = self.found.get(row)
        if earlier is None:
            self.found[row] = (rule, disposition or CATALOGUE[rule].disposition, reason)
        elif reason not in earlier[2]:
            self.found[row] = (*earlier[:2], f"{earlier[2]} | {reason}")

    def add_where(self, rows: npt.NDArray[np.int64], problems: npt.NDArray[Any]) -> None:
        """A problem per row, None where there is none."""
        found = np.flatnonzero(pd.notna(problems))
        for row, problem in zip(rows[found].tolist(), problems[found], strict=True):
            self.add(row, *problem)

    def mask(self, size: int) -> npt.NDArray[np.bool_]:
        """True for entries without a reason."""
        ok = np.ones(size, dtype=bool)
        if self.found:
            ok[list(self.found)] = False
        return ok

    def owner(self, rule: str) -> str:
        """Who repairs it: for mapping mistakes the owner the mapping names."""
        code = CATALOGUE[rule]
        return self.mapping_owner if code.owner == "mapping" and self.mapping_owner else OWNER_NAMES[code.owner][0]
