"""### The whole ledger ties out to the cent

Each morning, and whenever a run has posted vouchers: what the claims came to must be what was posted, held, rejected, skipped
or waits, per kind, company and currency. Reads no source and changes nothing; one cent of difference makes it red.
"""

from airflow.sdk import AssetOrTimeSchedule, chain, dag

from hesi_erp import tasks
from hesi_erp.schedule import ERP_VOUCHERS, at, house


@dag(schedule=AssetOrTimeSchedule(timetable=at("0 7 * * *"), assets=[ERP_VOUCHERS]), doc_md=__doc__, **house("target:erp"))
def ledger_reconciliation():
    chain(tasks.reconcile(tasks.begin("reconcile")), tasks.report().as_teardown())


ledger_reconciliation()
