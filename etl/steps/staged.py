"""What stage leaves for the steps after it: the frames of one chunk, and the same as plain columns."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pandas as pd

from etl.frames import Columns, columns_of


@dataclass(frozen=True)
class StagedClaims:
    """The staged frames of one chunk; ``line``, ``claim`` columns are row numbers of the frames they point to."""

    claims: pd.DataFrame
    lines: pd.DataFrame
    shares: pd.DataFrame
    invoices: pd.DataFrame
    write_offs: pd.DataFrame
    payees: pd.DataFrame
    commitments: pd.DataFrame
    rejects: pd.DataFrame


@dataclass(frozen=True)
class StagedColumns:
    """The readable claims of one chunk as plain columns, for a step that works on them row by row."""

    claims: Columns
    lines: Columns
    shares: Columns
    invoices: Columns
    write_offs: Columns
    payees: Columns

    @classmethod
    def of(cls, staged: StagedClaims) -> StagedColumns:
        """The columns of the staged frames."""
        return cls(**{field.name: columns_of(getattr(staged, field.name)) for field in fields(cls)})
