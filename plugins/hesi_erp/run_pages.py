"""The report of a run as a tab on its DAG run, and a list of runs; read-only, for the roles that may see money.

Every route asks three things: is it a signed-in user, may that user see runs of the DAG, and has the user one of the roles of
``HESI_ERP_REPORT_ROLES``. The file that is sent follows from the ledger; nothing of the address becomes part of a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from starlette.responses import Response

from hesi_erp.runs import newest_run
from hesi_erp.settings import airflow_settings

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

    from etl.store.ledger import Ledger

DEFAULT_ROLES = "admin,op,user,finance,auditor"
LISTED_RUNS = 100
_RUN_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{4}")
_DAG_RUN = re.compile(r"airflow:(?P<dag_id>[^:]+):(?P<dag_run_id>.+)")
_STYLE = """body{font:14px/1.5 system-ui,sans-serif;margin:1.5rem} table{border-collapse:collapse}
td,th{padding:.3rem .8rem;text-align:left} tr{border-bottom:1px solid #ddd}"""
_LIST_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LIST = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><title>运行报告 Runs</title><style>{{ style }}</style>
<h1>运行报告 Runs</h1><table><tr><th>开始 started<th>类型 kind<th>结论 verdict<th>原因 cause<th>报告 report</tr>
{%- for run, link in rows %}
<tr><td>{{ run.started_at.strftime("%Y-%m-%d %H:%M:%S") }} UTC<td>{{ run.kind }}<td>{{ run.verdict or run.status }}<td>{{ run.cause_code or "" }}
<td>{% if link %}<a href="{{ link }}">{{ run.run_id }}</a>{% else %}{{ run.run_id }}{% endif %}</tr>
{%- else %}
<tr><td colspan="5">还没有运行 No runs yet</tr>
{%- endfor %}
</table></html>""")


def allowed_roles() -> frozenset[str]:
    """Roles that may read reports, lower case."""
    return frozenset(role.strip().lower() for role in os.environ.get("HESI_ERP_REPORT_ROLES", DEFAULT_ROLES).split(",") if role.strip())


def requires_report_role(user: GetUserDep) -> None:
    """Refuses users without a role of :func:`allowed_roles`."""
    if not _roles(user) & allowed_roles():
        raise HTTPException(403, "Your role may not read run reports; HESI_ERP_REPORT_ROLES lists those that may")


app = FastAPI(
    docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN)), Depends(requires_report_role)]
)


@app.middleware("http")
async def _headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Nothing is cached, nothing frames the page but Airflow itself, nothing is guessed or sent on."""
    answer = await call_next(request)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    policy = answer.headers.get("Content-Security-Policy", "default-src 'none'")
    answer.headers["Content-Security-Policy"] = f"{policy}; frame-ancestors 'self'"
    return answer


def open_ledger() -> Iterator[tuple[Ledger, Path]]:
    """The run history and the folder of the reports."""
    from etl.store.ledger import Ledger

    settings = airflow_settings()
    with Ledger.open(settings.ledger_url.get_secret_value()) as ledger:
        yield ledger, settings.home / "reports"


Reports = Annotated["tuple[Ledger, Path]", Depends(open_ledger)]


@app.get("/", response_class=HTMLResponse)
def runs(reports: Reports) -> HTMLResponse:
    """The newest runs, each with a link to its report."""
    ledger, folder = reports
    rows = [(run, _link(run.started_by) if _page(folder, run.run_id).is_file() else "") for run in ledger.recent_runs(LISTED_RUNS)]
    return HTMLResponse(_LIST.render(rows=rows, style=_STYLE), headers={"Content-Security-Policy": _LIST_POLICY})


@app.get("/runs/{dag_id}/{dag_run_id}", response_class=HTMLResponse)
def run_report(dag_id: str, dag_run_id: str, reports: Reports) -> HTMLResponse:
    """The report of the run a DAG run began last."""
    from etl.report.html import content_policy

    ledger, folder = reports
    run = newest_run(ledger, dag_id, dag_run_id)
    if run is None:
        raise HTTPException(404, "This DAG run has not begun a run of the ledger")
    page = _page(folder, run.run_id)
    if not page.is_file():
        raise HTTPException(404, f"Run {run.run_id} has no report yet; its state is {run.status}")
    return HTMLResponse(page.read_bytes(), headers={"Content-Security-Policy": content_policy()})


def _page(folder: Path, run_id: str) -> Path:
    if not _RUN_ID.fullmatch(run_id):
        raise HTTPException(404, "The ledger holds a run id that is none")
    return folder / run_id / "run-report.html"


def _link(started_by: str) -> str:
    from urllib.parse import quote

    found = _DAG_RUN.fullmatch(started_by)
    return f"runs/{quote(found['dag_id'], safe='')}/{quote(found['dag_run_id'], safe='')}" if found else ""


def _roles(user: BaseUser) -> frozenset[str]:
    """Role names of a user of SimpleAuthManager (one ``role``) or of FAB (``roles`` with names), lower case."""
    one = getattr(user, "role", None)
    names = [one] if one else [role.name for role in getattr(user, "roles", ())]
    return frozenset(str(name).lower() for name in names)
