"""One report world a module, and its figures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from etl.report.figures import build_figures
from etl.report.figures_model import RunFigures
from tests.fixtures.report_world import ReportWorld, report_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportWorld]:
    with report_world(tmp_path_factory.mktemp("report")) as built:
        yield built


@pytest.fixture(scope="module")
def figures(world: ReportWorld) -> RunFigures:
    return build_figures(world.ledger.engine, world.erp, world.run_id)
