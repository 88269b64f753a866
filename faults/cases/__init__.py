"""Every case there is."""

from __future__ import annotations

from faults.case import Case
from faults.cases import checks, database, domain, network, process, races, source


def catalogue() -> list[Case]:
    """All cases in a fixed order; ids are unique."""
    return [*process.cases(), *database.cases(), *source.cases(), *network.cases(), *domain.cases(), *checks.cases(), *races.cases()]
