"""Reports inside Airflow: for signed-in users with a fitting role, and never a file the ledger does not name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

DAG_RUN = "manual__2026-11-24T07:35:24.101010+00:00"
Get = Callable[..., Any]


@pytest.fixture
def home(airflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose ledger knows one run of the nightly DAG, with a report."""
    from etl.store.ledger import Ledger
    from hesi_erp.runs import started_by

    monkeypatch.setenv("HESI_ERP_HOME", str(tmp_path))
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        run_id = ledger.start_run(
            kind="nightly",
            started_by=started_by("claims_nightly", DAG_RUN),
            business_date=date(2026, 11, 24),
            mapping_sha256="",
            package_version="1",
            source_host="",
        )
        ledger.finish_run(run_id, "green")
    page = tmp_path / "reports" / run_id / "run-report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html><h1>全部已过账</h1>", encoding="utf-8")
    (tmp_path / "secret.html").write_text("nobody may read this", encoding="utf-8")
    return tmp_path


@pytest.fixture
def get(home: Path) -> Iterator[Get]:
    """``get(path, user)``: an answer of the plugin's pages, as that user of SimpleAuthManager or as nobody."""
    from airflow import plugins_manager
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    manager = create_auth_manager()
    roles = {"finance": "user", "onlooker": "viewer"}
    [pages] = [app["app"] for app in plugins_manager.get_fastapi_plugins()[0] if app["url_prefix"] == "/hesi"]
    with TestClient(pages) as client:

        def ask(path: str, user: str | None = None) -> Any:
            token = manager.generate_jwt(SimpleAuthManagerUser(username=user, role=roles[user])) if user else None
            return client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})

        yield ask


def addresses() -> list[str]:
    from hesi_erp.run_pages import app

    return [route.path.format(dag_id="claims_nightly", dag_run_id=DAG_RUN) for route in app.routes]


def test_every_route_refuses_whoever_is_not_signed_in(get: Get) -> None:
    assert len(addresses()) == 2
    assert {address: get(address).status_code for address in addresses()} == dict.fromkeys(addresses(), 401)


def test_every_route_refuses_a_role_that_may_not_see_money(get: Get) -> None:
    assert {address: get(address, "onlooker").status_code for address in addresses()} == dict.fromkeys(addresses(), 403)


def test_a_dag_run_shows_the_report_of_its_run(get: Get) -> None:
    answer = get(f"/runs/claims_nightly/{DAG_RUN}", "finance")
    assert (answer.status_code, answer.text) == (200, "<!doctype html><h1>全部已过账</h1>")


def test_the_list_links_every_run_that_has_a_report(get: Get) -> None:
    answer = get("/", "finance")
    assert answer.status_code == 200
    assert 'href="runs/claims_nightly/manual__2026-11-24T07%3A35%3A24.101010%2B00%3A00"' in answer.text
    assert "green" in answer.text


def test_a_dag_run_without_a_run_or_a_report_says_so(get: Get, home: Path) -> None:
    assert get("/runs/claims_nightly/manual__other", "finance").status_code == 404
    for page in (home / "reports").rglob("run-report.html"):
        page.unlink()
    answer = get(f"/runs/claims_nightly/{DAG_RUN}", "finance")
    assert answer.status_code == 404
    assert "has no report yet; its state is finished" in answer.text


@pytest.mark.parametrize("run_id", ["..%2F..%2Fsecret", "%2e%2e%2f%2e%2e%2fsecret.html", "../../secret.html", "....//secret.html", "secret.html%00"])
def test_no_address_reaches_a_file_outside_the_reports(run_id: str, get: Get) -> None:
    answer = get(f"/runs/claims_nightly/{run_id}", "finance")
    assert answer.status_code == 404
    assert "nobody may read this" not in answer.text


def test_a_forged_run_id_in_the_ledger_reaches_no_file(get: Get, home: Path) -> None:
    import sqlite3

    (home / "run-report.html").write_text("nobody may read this", encoding="utf-8")
    with sqlite3.connect(home / "ledger.db") as connection:
        connection.execute("UPDATE run SET run_id = '..'")
    connection.close()
    assert get(f"/runs/claims_nightly/{DAG_RUN}", "finance").status_code == 404
    assert get("/", "finance").status_code == 404


@pytest.mark.parametrize("user", ["finance", "onlooker", None])
def test_no_answer_is_cached_framed_elsewhere_or_able_to_run_scripts(user: str | None, get: Get) -> None:
    for address in addresses():
        headers = get(address, user).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert policy.endswith("frame-ancestors 'self'")
        assert "script" not in policy


def test_which_roles_may_read_is_a_setting(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HESI_ERP_REPORT_ROLES", "Viewer")
    assert get("/", "onlooker").status_code == 200
    assert get("/", "finance").status_code == 403


def test_roles_of_the_fab_auth_manager_count_too(airflow: Path) -> None:
    from types import SimpleNamespace

    from fastapi import HTTPException

    from hesi_erp.run_pages import requires_report_role

    requires_report_role(SimpleNamespace(roles=[SimpleNamespace(name="Public"), SimpleNamespace(name="Finance")]))  # type: ignore[arg-type]
    with pytest.raises(HTTPException) as refused:
        requires_report_role(SimpleNamespace(roles=[SimpleNamespace(name="Public")]))  # type: ignore[arg-type]
    assert refused.value.status_code == 403


def test_airflow_loads_the_plugin_once_and_finds_its_pages(airflow: Path) -> None:
    import sys

    from airflow import plugins_manager

    [ours] = [plugin for plugin in plugins_manager.get_plugin_info(["name", "external_views"]) if plugin["name"] == "hesi_erp"]
    assert not plugins_manager.get_import_errors()
    apps, _ = plugins_manager.get_fastapi_plugins()
    assert [app["url_prefix"] for app in apps if app["name"] == "hesi-erp run reports"] == ["/hesi"]
    views = {view["destination"]: view["href"] for view in ours["external_views"]}
    assert views == {"nav": "hesi/", "dag_run": "hesi/runs/{DAG_ID}/{RUN_ID}"}
    # Without .airflowignore the modules below plugins/ would be there a second time, under their bare names.
    assert not {"run_pages", "tasks", "notify"} & set(sys.modules)


def test_long_dag_run_ids_still_find_their_run(airflow: Path) -> None:
    from hesi_erp.runs import started_by

    long = "manual__" + "x" * 240
    assert len(started_by("claims_nightly", long)) == 200
    assert started_by("claims_nightly", long) != started_by("claims_nightly", long + "y")
