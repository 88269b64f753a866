"""What the Connections ``hesi``, ``erp`` and ``hesi_ledger`` say, under the names of ``docs/settings.md``.

======================  =======================================================================================
``hesi``                host -> HESI_BASE_URL (https unless the host says otherwise), login -> HESI_APP_KEY,
                        password -> HESI_APP_SECURITY, extra ``{"allowed_hosts": "app.ekuaibao.com"}``
``erp``                 extra ``{"url": "<SQLAlchemy URL>"}``, or type, host, port, login, password and schema;
                        extra ``{"query": {...}}`` is added to the URL
``hesi_ledger``         as ``erp``; without it the run history is SQLite under HESI_ERP_HOME
======================  =======================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from etl.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.hesi.client import HesiClient

_DRIVERS = {"postgres": "postgresql+psycopg", "mssql": "mssql+pyodbc", "odbc": "mssql+pyodbc", "sqlite": "sqlite"}


def find_connection(conn_id: str) -> Connection | None:
    """The Connection of that id, or None where nobody made one."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None


class HesiHook(BaseHook):
    """The Hesi tenant behind a Connection."""

    conn_name_attr = "hesi_conn_id"
    default_conn_name = "hesi"
    hook_name = "Hesi"

    def __init__(self, hesi_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.hesi_conn_id = hesi_conn_id

    def settings(self) -> dict[str, Any]:
        """Settings the Connection carries; empty where there is none."""
        found = find_connection(self.hesi_conn_id)
        if found is None:
            return {}
        values = {"HESI_BASE_URL": _address(found), "HESI_APP_KEY": found.login, "HESI_APP_SECURITY": found.password}
        hosts = found.extra_dejson.get("allowed_hosts")
        values["HESI_ALLOWED_HOSTS"] = ",".join(hosts) if isinstance(hosts, list) else hosts
        return {name: value for name, value in values.items() if value}

    def get_conn(self) -> HesiClient:
        """A client of the tenant; the caller closes it."""
        from etl.pipeline.context import open_client
        from hesi_erp.settings import airflow_settings

        return open_client(airflow_settings())


class ErpHook(BaseHook):
    """The ERP database behind a Connection."""

    conn_name_attr = "erp_conn_id"
    default_conn_name = "erp"
    hook_name = "ERP database"
    setting = "ERP_URL"

    def __init__(self, erp_conn_id: str | None = None) -> None:
        super().__init__()
        self.erp_conn_id = erp_conn_id or self.default_conn_name

    def settings(self) -> dict[str, Any]:
        """The database address the Connection carries; empty where there is none."""
        found = find_connection(self.erp_conn_id)
        return {} if found is None else {self.setting: database_url(found)}

    def get_conn(self) -> Engine:
        """An engine on the database; the caller disposes of it."""
        from etl.erp.engine import open_engine
        from hesi_erp.settings import airflow_settings

        return open_engine(airflow_settings().erp_url.get_secret_value())


class LedgerHook(ErpHook):
    """The run history behind a Connection."""

    default_conn_name = "hesi_ledger"
    hook_name = "hesi-erp run ledger"
    setting = "HESI_ERP_LEDGER_URL"

    def get_conn(self) -> Engine:
        """An engine on the run history, brought to this version; the caller disposes of it."""
        from etl.store.ledger import Ledger
        from hesi_erp.settings import airflow_settings

        return Ledger.open(airflow_settings().ledger_url.get_secret_value()).engine


def database_url(connection: Connection) -> str:
    """The SQLAlchemy URL of a Connection: its extra ``url``, or made of its parts.

    Raises:
        ConfigError: a type no driver is known for.
    """
    from sqlalchemy.engine import URL

    extra = connection.extra_dejson
    if url := extra.get("url"):
        return str(url)
    driver = _DRIVERS.get(connection.conn_type or "")
    if driver is None:
        raise ConfigError(
            f"Connection {connection.conn_id}: expected extra.url or a type of {', '.join(sorted(_DRIVERS))}, found {connection.conn_type!r}; "
            'put the SQLAlchemy URL into the extra field: {"url": "postgresql+psycopg://..."}'
        )
    parts = URL.create(
        driver,
        username=connection.login or None,
        password=connection.password or None,
        host=connection.host or None,
        port=connection.port,
        database=connection.schema or None,
        query=extra.get("query") or {},
    )
    return parts.render_as_string(hide_password=False)


def _address(connection: Connection) -> str:
    host = connection.host or ""
    if not host or "://" in host:
        return host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{host}{port}"
