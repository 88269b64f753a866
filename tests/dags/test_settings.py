"""Inside Airflow the settings come from Connections, then from one Variable, then from the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etl.errors import ConfigError


@pytest.fixture(autouse=True)
def home(airflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and nothing else set."""
    monkeypatch.setenv("HESI_ERP_HOME", str(tmp_path))
    return tmp_path


def connect(monkeypatch: pytest.MonkeyPatch, conn_id: str, **parts: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(parts))


def test_the_hesi_connection_gives_address_key_secret_and_allowed_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.settings import airflow_settings

    hosts = {"allowed_hosts": ["app.ekuaibao.com"]}
    connect(monkeypatch, "hesi", conn_type="http", host="app.ekuaibao.com", login="the key", password="the secret", extra=hosts)
    settings = airflow_settings()
    assert settings.base_url == "https://app.ekuaibao.com"
    assert (settings.app_key.get_secret_value(), settings.app_security.get_secret_value()) == ("the key", "the secret")
    assert settings.allowed_hosts == ("app.ekuaibao.com",)


@pytest.mark.parametrize(
    ("parts", "address"),
    [
        ({"host": "http://127.0.0.1:8765"}, "http://127.0.0.1:8765"),
        ({"host": "127.0.0.1", "port": 8765, "schema": "http"}, "http://127.0.0.1:8765"),
        ({"host": "dd2.hosecloud.com"}, "https://dd2.hosecloud.com"),
    ],
    ids=["whole address", "parts as Airflow's http type has them", "bare host is https"],
)
def test_the_address_of_hesi_may_be_written_in_three_ways(parts: dict[str, Any], address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.settings import airflow_settings

    connect(monkeypatch, "hesi", conn_type="http", login="k", password="s", **parts)
    assert airflow_settings().base_url == address


def test_the_erp_connection_is_a_url_or_its_parts_and_special_characters_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.engine import make_url

    from hesi_erp.settings import airflow_settings

    parts = {"host": "db", "port": 5433, "schema": "erp", "login": "etl", "password": "p@ss:w/rd"}
    connect(monkeypatch, "erp", conn_type="postgres", **parts, extra={"query": {"sslmode": "verify-full"}})
    url = make_url(airflow_settings().erp_url.get_secret_value())
    assert (url.drivername, url.host, url.port, url.database, url.password) == ("postgresql+psycopg", "db", 5433, "erp", "p@ss:w/rd")
    assert url.query == {"sslmode": "verify-full"}
    connect(monkeypatch, "erp", conn_type="generic", extra={"url": "mssql+pyodbc://sa:x@db/erp"})
    assert airflow_settings().erp_url.get_secret_value() == "mssql+pyodbc://sa:x@db/erp"


def test_the_ledger_is_sqlite_under_home_unless_it_has_a_connection(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.settings import airflow_settings

    assert airflow_settings().ledger_url.get_secret_value() == f"sqlite:///{home}/ledger.db"
    connect(monkeypatch, "hesi_ledger", conn_type="postgres", host="db", schema="ledger")
    assert airflow_settings().ledger_url.get_secret_value() == "postgresql+psycopg://db/ledger"


def test_a_connection_no_driver_is_known_for_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.settings import airflow_settings

    connect(monkeypatch, "erp", conn_type="fax", host="db")
    with pytest.raises(ConfigError, match=r"Connection erp: expected extra\.url or a type of .*found 'fax'; put the SQLAlchemy URL"):
        airflow_settings()


def test_the_variable_carries_other_settings_and_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.settings import airflow_settings

    monkeypatch.setenv("HESI_ERP_OVERLAP_HOURS", "12")
    monkeypatch.setenv("HESI_ERP_LAG_SECONDS", "7")
    monkeypatch.setenv("AIRFLOW_VAR_HESI_ERP", json.dumps({"HESI_ERP_OVERLAP_HOURS": 72, "HESI_ERP_START": "2026-01-01"}))
    settings = airflow_settings()
    assert (settings.overlap_hours, settings.lag_seconds) == (72, 7)
    assert settings.start is not None
    assert settings.start.year == 2026


def test_the_variable_takes_neither_unknown_names_nor_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.settings import airflow_settings

    monkeypatch.setenv("AIRFLOW_VAR_HESI_ERP", json.dumps({"HESI_ERP_OVERLAP": 72, "HESI_APP_SECURITY": "hush-hush"}))
    with pytest.raises(ConfigError) as refused:
        airflow_settings()
    assert refused.value.problems == (
        "HESI_ERP_OVERLAP: no such setting; docs/settings.md lists them all",
        "HESI_APP_SECURITY: a secret; it belongs in a Connection or the environment",
    )
    assert "hush-hush" not in str(refused.value)


def test_a_relative_home_is_refused_because_tasks_start_in_different_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.settings import airflow_settings

    monkeypatch.setenv("HESI_ERP_HOME", "home")
    with pytest.raises(ConfigError, match="expected an absolute path"):
        airflow_settings()


def test_secrets_are_masked_in_task_logs_and_in_our_own_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.log import redact as airflow_redact

    from etl.redaction import redact
    from hesi_erp.settings import airflow_settings

    connect(monkeypatch, "hesi", conn_type="http", host="app.ekuaibao.com", login="k-4711-canary", password="s-4711-canary")
    connect(monkeypatch, "erp", conn_type="generic", extra={"url": "postgresql+psycopg://etl:db-4711-canary@db/erp"})
    airflow_settings()
    for secret in ("s-4711-canary", "db-4711-canary"):
        assert secret not in str(airflow_redact(f"found {secret} here"))
        assert secret not in redact(f"found {secret} here")


def test_the_hooks_open_what_their_connections_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.hooks import ErpHook, HesiHook, LedgerHook

    connect(monkeypatch, "hesi", conn_type="http", host="app.ekuaibao.com", login="k", password="s")
    connect(monkeypatch, "erp", conn_type="generic", extra={"url": f"sqlite:///{home}/erp.db"})
    HesiHook().get_conn().close()
    erp, ledger = ErpHook().get_conn(), LedgerHook().get_conn()
    with ledger.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM run").scalar() == 0
    assert str(erp.url) == f"sqlite:///{home}/erp.db"
    erp.dispose()
    ledger.dispose()
