"""### A dated snapshot of Hesi's lists, every morning

Fee types, departments, staff, dimensions and their items, payees and payer accounts, disabled entries included. The pages lie
under `raw/<run id>/` with their hashes in the run ledger, so that an auditor can see what a list said on a day. Nothing is posted.
"""

from airflow.sdk import chain, dag

from hesi_erp import tasks
from hesi_erp.schedule import at, house


@dag(schedule=at("0 1 * * *"), doc_md=__doc__, **house("target:raw"))
def reference_data():
    chain(tasks.read_lists(tasks.begin("reference")), tasks.report().as_teardown())


reference_data()
