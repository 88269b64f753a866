"""### Approved claims become posted vouchers, through the day

The nightly run every 15 minutes, over what changed since the last one. It shares the posting slot with all DAGs that post,
and a run that finds nothing changes nothing.
"""

from airflow.sdk import dag

from hesi_erp.posting import post_claims
from hesi_erp.schedule import at, house


@dag(schedule=at("*/15 * * * *"), doc_md=__doc__, **house("target:erp", "posts"))
def claims_incremental():
    post_claims("incremental")


claims_incremental()
