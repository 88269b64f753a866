"""One message per incident, and one when it is over.

An incident is a DAG and a cause. The first failure opens it and is sent; the same failure again is counted and stays quiet;
the DAG's next good run closes it. Messages say whose turn it is, finance's or IT's, from the advice of ``docs/runbook.md``.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl.codes import code_of
from etl.errors import ConfigError, EtlError
from hesi_erp.channels import NotSent, channel_of
from hesi_erp.incidents import Audience, Incident, Incidents
from hesi_erp.settings import airflow_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("etl")


def report_failure(context: Mapping[str, Any]) -> None:
    """Airflow's ``on_failure_callback``: called once a task has used up its tries."""
    error = context.get("exception")
    ti = context["ti"]
    incident = _incident(ti.dag_id, ti.task_id, str(context.get("run_id") or ""), error)
    incidents = Incidents(_folder())
    if not incidents.open(incident):
        log.info("incident_still_open dag=%s code=%s", incident.dag_id, incident.code)
        return
    if _send(incident.audience, incident.subject, incident.body):
        incidents.mark_sent(incident)


def report_recovery(dag_id: str, run_id: str) -> None:
    """Closes what is open for a DAG whose run ended well, and says so to whoever was told."""
    for incident in Incidents(_folder()).close(dag_id):
        if incident.sent:
            text = f"已恢复 recovered: {dag_id} {incident.code}"
            _send(incident.audience, text, f"{text}\n运行 run: {run_id}\n发生次数 failures meanwhile: {incident.seen}")


def _incident(dag_id: str, task_id: str, dag_run_id: str, error: object) -> Incident:
    from etl.config.pages.runbook import ADVICE
    from etl.masking import mask_text
    from etl.redaction import redact

    if isinstance(error, EtlError):
        advice = next(ADVICE[kind] for kind in type(error).__mro__ if kind in ADVICE)
        audience: Audience = "it" if advice.owner == "it" else "finance"
        code, fix = error.code, f"{advice.fix_zh}\n{advice.fix_en}"
    else:
        audience, code = "it", type(error).__name__ if isinstance(error, BaseException) else "TASK_LOST"
        fix = "查看任务日志。\nRead the log of the task."
    entry = code_of(error) if isinstance(error, BaseException) else code
    turn = {"finance": "请财务处理 finance action", "it": "请 IT 处理 IT action"}[audience]
    # A message of a library may quote rows; the class name alone is enough to act on.
    cause = mask_text(redact(str(error))) if isinstance(error, EtlError) else code
    subject = f"[{turn}] {dag_id} {task_id}: {code}"
    body = f"{subject}\n运行 run: {dag_run_id}\n原因 cause: {cause}\n处理 fix: {fix}\n手册 runbook: docs/runbook.md, {entry}"
    return Incident(dag_id, code, audience, subject, body)


def _folder() -> Path:
    try:
        return airflow_settings().home / "incidents"
    except ConfigError:  # the settings themselves may be the incident; it must be told all the same
        return Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "incidents"


def _send(audience: Audience, subject: str, body: str) -> bool:
    """True when the message went out; a message that cannot be sent never makes a run worse, and is tried again."""
    try:
        channel_of(audience).send(subject, body)
    except (NotSent, ConfigError) as error:
        log.error("notify_failed audience=%s error=%s", audience, error)
        return False
    return True
