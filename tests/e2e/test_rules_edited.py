"""Rules edited while a run is under way: its tasks, each a process that reads them anew, never work under two versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl.config.settings import Settings, load_settings
from etl.errors import RulesChanged
from etl.pipeline.context import begin, resume
from etl.pipeline.run import STEPS
from tests.e2e.cli_world import World, world

READERS = ("stage", "map_fields", "check_budget", "validate", "reconcile")
COMPANY = "companies/C01.yaml"


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, claims=60) as made:
        yield made


def settings_of(tenant: World) -> Settings:
    return load_settings(**tenant.settings())


def step(settings: Settings, run_id: str, name: str) -> None:
    """One task: a process of its own, as far as the run can tell."""
    run = resume(settings, run_id)
    try:
        STEPS[name](run)
    finally:
        run.close()


def begun_before(settings: Settings, name: str) -> str:
    """A run whose tasks before this one ended well."""
    run = begin(settings, kind="nightly", started_by="airflow:claims_nightly:manual")
    run.close()
    for earlier in list(STEPS)[: list(STEPS).index(name)]:
        step(settings, run.run_id, earlier)
    return run.run_id


def comment(text: str) -> str:
    return f"{text}\n# another version\n"


def broken(text: str) -> str:
    return f"{text}\nno_such_key: 1\n"


@pytest.mark.parametrize("name", READERS)
def test_a_task_that_finds_other_rules_than_the_run_began_with_stops_by_name(tenant: World, name: str) -> None:
    settings = settings_of(tenant)
    run_id = begun_before(settings, name)
    path = tenant.mappings / COMPANY
    original = path.read_text(encoding="utf-8")
    path.write_text(comment(original), encoding="utf-8")
    with pytest.raises(RulesChanged, match=f"which run {run_id} began with, found .*; start a new run"):
        step(settings, run_id, name)
    assert tenant.ask("SELECT COUNT(DISTINCT mapping_sha256) FROM posting_batch")[0][0] <= 1


@pytest.mark.parametrize("edit", [comment, broken])
def test_nothing_is_posted_under_edited_rules_and_a_new_run_posts_it_all(tenant: World, edit: Callable[[str], str]) -> None:
    settings = settings_of(tenant)
    run_id = begun_before(settings, "map_fields")
    path = tenant.mappings / COMPANY
    original = path.read_text(encoding="utf-8")
    path.write_text(edit(original), encoding="utf-8")
    with pytest.raises(RulesChanged):
        step(settings, run_id, "map_fields")
    assert tenant.ask("SELECT COUNT(*) FROM voucher") == [(0,)]
    path.write_text(original, encoding="utf-8")
    assert tenant.command("run").status == 0
    assert tenant.ask("SELECT COUNT(*) FROM voucher")[0][0] > 50


def test_rules_that_are_as_they_were_again_let_the_run_go_on(tenant: World) -> None:
    settings = settings_of(tenant)
    run_id = begun_before(settings, "map_fields")
    path = tenant.mappings / COMPANY
    original = path.read_text(encoding="utf-8")
    path.write_text(comment(original), encoding="utf-8")
    with pytest.raises(RulesChanged):
        step(settings, run_id, "map_fields")
    path.write_text(original, encoding="utf-8")
    step(settings, run_id, "map_fields")


def test_a_process_goes_on_under_the_version_it_has_read(tenant: World) -> None:
    run = resume(settings_of(tenant), begun_before(settings_of(tenant), "map_fields"))
    read = run.mappings
    path = tenant.mappings / COMPANY
    path.write_text(comment(path.read_text(encoding="utf-8")), encoding="utf-8")
    STEPS["map_fields"](run)
    assert run.mappings is read
    run.close()
