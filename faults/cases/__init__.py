"""Every case there is."""

from __future__ import annotations

from faults.case import Case
from faults.cases import database, domain, process, source


def catalogue() -> list[Case]:
    """All cases in a fixed order; ids are unique."""
    return [*process.cases(), *database.cases(), *source.cases(), *domain.cases()]
