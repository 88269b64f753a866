"""The task graph of every DAG that posts: the steps in order, and a report whatever happens."""

from __future__ import annotations

from airflow.sdk import chain

from hesi_erp import tasks


def post_claims(kind: str) -> None:
    """begin >> extract >> … >> write_back, with the report as a teardown: it always runs and cannot turn a failed run green."""
    started = tasks.begin(kind)
    raw = tasks.extract(started)
    staged = tasks.stage(raw)
    mapped = tasks.map_fields(staged)
    checked = tasks.check_budget(mapped)
    accepted = tasks.validate(checked)
    posted = tasks.load(accepted)
    tied_out = tasks.reconcile(posted)
    chain(tasks.write_back(tied_out), tasks.report().as_teardown())
