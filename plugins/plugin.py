"""The one plugin Airflow loads: the pages of the run report."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/hesi"
Message = MutableMapping[str, Any]


async def run_pages(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    """The pages as an ASGI application. Every task process loads plugins; only the API server needs what this imports."""
    from hesi_erp.run_pages import app

    await app(scope, receive, send)


class HesiErpPlugin(AirflowPlugin):
    """Run reports inside Airflow: a tab on each DAG run, and a list under Browse."""

    name = "hesi_erp"
    fastapi_apps = [{"app": run_pages, "url_prefix": PREFIX, "name": "hesi-erp run reports"}]  # noqa: RUF012 - the shape Airflow asks for
    external_views = [  # noqa: RUF012
        {"name": "运行报告", "href": f"{PREFIX[1:]}/", "destination": "nav", "category": "browse", "url_route": "hesi-reports"},
        {"name": "运行报告", "href": f"{PREFIX[1:]}/runs/{{DAG_ID}}/{{RUN_ID}}", "destination": "dag_run", "url_route": "hesi-run"},
    ]
