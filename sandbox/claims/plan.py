"""What one claim is to be: kind, company, person, state and the instants of its life; drawn before any amount is."""

from dataclasses import dataclass
from random import Random

from sandbox.clock import BEIJING, instant_of
from sandbox.parties import Parties, Person

_START_MS = instant_of("2026-03-02 09:00:00")
_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_MASS_ARCHIVE_MS = instant_of("2026-09-30 18:00:00")

# Share of each kind of deliberate defect (expense claims that would otherwise be posted).
DEFECTS = {
    "lines do not add up": 0.0015,
    "unknown state": 0.0015,
    "money text with thousands separator": 0.0015,
    "apportion sum wrong": 0.0015,
    "unmapped fee type": 0.0030,
    "department missing on file": 0.0015,
    "foreign voucher number": 0.0015,
    "payPlan sum wrong": 0.0015,
    "wrong base currency": 0.0015,
}
# Legitimate but awkward claims a connector has to hold or resolve.
ODDITIES = {
    "individual payee who is no employee": 0.003,
    "unmapped payment account": 0.001,
    "department with empty or shared code or disabled": 0.003,
    "invoice used twice": 0.001,
}
_FORM_MIX = (("expense", 0.88), ("loan", 0.92), ("payment", 0.95), ("receipt", 0.97), ("requisition", 1.0))
_OLD_STATES = (
    ("archived", 0.0565), ("rejected", 0.0640), ("nullify", 0.0690), ("deleted", 0.0740), ("paid", 1.0),
)  # fmt: skip
_RECENT_STATES = (
    ("paying", 0.22), ("PROCESSING", 0.30), ("approving", 0.49), ("draft", 0.54), ("rejected", 0.56),
    ("archived", 0.59), ("pending", 0.595), ("sending", 0.605), ("receiving", 0.615), ("nullify", 0.62),
    ("deleted", 0.625), ("paid", 1.0),
)  # fmt: skip
_RECENT = 0.8


@dataclass(slots=True)
class Plan:
    """One claim before its amounts; instants are epoch milliseconds, 0 = did not happen."""

    seq: int
    form_type: str
    company: str
    person: Person
    state: str
    active: bool
    created: int
    submitted: int
    approved: int
    paid: int
    archived: int
    updated: int
    defect: str = ""
    oddity: str = ""
    calm: bool = False


class Planner:
    """Draws plans in order of submission from the tenant's generator."""

    def __init__(self, claims: int, now_ms: int, *, parties: Parties, random: Random, calm: bool) -> None:
        self._claims = claims
        self._now = now_ms
        self._end = now_ms - 20 * _HOUR
        self._parties = parties
        self._random = random
        self._calm = calm
        self._special = {} if calm else _special_claims(claims, random)

    def plan(self, seq: int) -> Plan:
        """The plan of claim `seq` of the initial tenant."""
        draw = self._random.random
        position = (seq + draw()) / self._claims
        defect, oddity = self._special.get(seq, ("", ""))
        if defect or oddity:
            form_type, state = "expense", "paid"
        else:
            form_type = _pick(_FORM_MIX, draw())
            state = self._fitting(form_type, _pick(_RECENT_STATES if position > _RECENT else _OLD_STATES, draw()))
        if oddity == "department with empty or shared code or disabled" or defect == "wrong base currency":
            company = "C01"
        else:
            company = self._company()
        submitted = self._working_instant(_START_MS + int((self._end - _START_MS) * position))
        return self._timed(seq, form_type, company=company, state=state, submitted=submitted, special=(defect, oddity))

    def fresh(self, seq: int, state: str, *, form_type: str, now_ms: int) -> Plan:
        """The plan of a claim added later: its whole life lies in the hours before `now_ms`."""
        self._now = now_ms
        plan = self._timed(seq, form_type, company=self._company(), state=state, submitted=now_ms - 6 * _HOUR)
        plan.updated = now_ms
        return plan

    def _company(self) -> str:
        draw = self._random.random()
        return "C01" if draw < 0.70 else "C02" if draw < 0.93 else "C03"

    def _fitting(self, form_type: str, state: str) -> str:
        """The state, or the nearest one a form without a cashier node can be in; nothing calm is archived: Hesi takes no number then."""
        if form_type in ("receipt", "requisition") and state in ("paying", "PROCESSING"):
            return "approving"
        return "paid" if self._calm and state == "archived" else state

    def _working_instant(self, around: int) -> int:
        """An instant of the same day in Beijing, mostly in office hours, at times just before midnight."""
        offset = int(BEIJING.utcoffset(None).total_seconds()) * 1000
        midnight = (around + offset) // _DAY * _DAY - offset
        draw = self._random.random()
        if draw < 0.01:
            return midnight + 23 * _HOUR + int(self._random.random() * _HOUR)
        return midnight + 8 * _HOUR + int(draw * 13 * _HOUR)

    def _timed(
        self, seq: int, form_type: str, *, company: str, state: str, submitted: int, special: tuple[str, str] = ("", "")
    ) -> Plan:
        draw = self._random.random
        people = self._parties.by_company[company]
        approved = 2 * _HOUR + int(draw() * 4 * _DAY)
        paid = approved + 3 * _HOUR + int(draw() * 3 * _DAY)
        archived = paid + _HOUR + int(draw() * 9 * _DAY)
        room = max(self._now - submitted - 30 * _MINUTE, 1)
        if archived > room:
            approved, paid, archived = (instant * room // archived for instant in (approved, paid, archived))
        plan = Plan(
            seq=seq, form_type=form_type, company=company, person=people[int(draw() * len(people))],
            state="draft" if state == "deleted" and draw() < 0.6 else "rejected" if state == "deleted" else state,
            active=state != "deleted", created=submitted - 5 * _MINUTE - int(draw() * 2 * _HOUR), submitted=submitted,
            approved=submitted + approved, paid=submitted + paid, archived=submitted + archived, updated=0,
            defect=special[0], oddity=special[1], calm=self._calm,
        )  # fmt: skip
        self._settle(plan)
        return plan

    def _settle(self, plan: Plan) -> None:
        """Blank what the state has not reached yet and find the last change."""
        draw = self._random.random
        if plan.state not in ("paid", "archived"):
            plan.paid = plan.archived = 0
            if plan.state not in ("paying", "PROCESSING", "nullify", "sending", "receiving"):
                plan.approved = 0
        elif plan.state == "paid":
            plan.archived = 0
        elif plan.paid < _MASS_ARCHIVE_MS and draw() < 0.5:
            # Half of the archived claims were closed in one go by a script, in one second.
            plan.archived = _MASS_ARCHIVE_MS + int(draw() * 1000)
        if plan.state == "draft" and plan.active:
            plan.updated = plan.created + int(draw() * 3)
        else:
            last = plan.archived or plan.paid or plan.approved or plan.submitted
            plan.updated = last + int(draw() * 4)
        if draw() < 0.02:
            plan.created = plan.updated + 1 + int(draw() * 20)


def _special_claims(claims: int, random: Random) -> dict[int, tuple[str, str]]:
    """Which claims carry which defect or oddity: at least one of each from 100 claims on."""
    wanted = [(name, "", share) for name, share in DEFECTS.items()]
    wanted += [("", name, share) for name, share in ODDITIES.items()]
    if claims < 100:
        return {}
    marks = [(defect, oddity) for defect, oddity, share in wanted for _ in range(max(1, round(claims * share)))]
    # Not among the first: a loan, a supplier or an earlier invoice may be needed.
    return dict(zip(random.sample(range(claims // 10, claims), len(marks)), marks, strict=True))


def _pick(mix: tuple[tuple[str, float], ...], draw: float) -> str:
    for name, limit in mix:
        if draw < limit:
            return name
    return mix[-1][0]

