"""### Every claim read again, once a week

The nightly run without its watermark: finds what a list showed too late for the overlap, and edits that left `updateTime` alone.
Nothing is posted twice; whatever changed since it was posted is answered by a reversal and a new revision.
"""

from airflow.sdk import dag

from hesi_erp.posting import post_claims
from hesi_erp.schedule import at, house


@dag(schedule=at("0 4 * * 0"), doc_md=__doc__, **house("target:erp", "posts"))
def claims_sweep():
    post_claims("full")


claims_sweep()
