"""### Approved claims become posted vouchers, every night

Reads every claim changed since the last good run and every deletion, posts what is due, ties out the whole ledger and writes
the voucher numbers back to Hesi.

- **Parameter `full`**: read everything again, not only what changed; nothing is posted twice.
- **Red**: a step stopped. The report tab names the cause, whose turn it is and what to do; `docs/runbook.md` has every code.
- **Again**: clear the failed task to continue the run, or trigger the DAG to start a new one. Both are safe.
"""

from airflow.sdk import Param, dag

from hesi_erp.posting import post_claims
from hesi_erp.schedule import at, house


@dag(
    schedule=at("30 2 * * *"),
    params={"full": Param(False, type="boolean", description="Ignore the watermark")},
    doc_md=__doc__,
    **house("target:erp", "posts"),
)
def claims_nightly():
    post_claims("nightly")


claims_nightly()
