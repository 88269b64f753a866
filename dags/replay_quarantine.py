"""### Decide rejected, held and waiting claims again, now

After a mapping, a period or a budget was repaired. Every run decides open claims again by itself; this one does not wait and
reads nothing else.

- **Parameter `claim_codes`**: keep to these claims, e.g. `["B26000123"]`; empty means every open claim.
"""

from airflow.sdk import Param, dag

from hesi_erp.posting import post_claims
from hesi_erp.schedule import house


@dag(
    schedule=None,
    params={"claim_codes": Param([], type="array", items={"type": "string"}, description="Claim numbers; empty = every open claim")},
    doc_md=__doc__,
    **house("target:erp", "posts"),
)
def replay_quarantine():
    post_claims("replay")


replay_quarantine()
