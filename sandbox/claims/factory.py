"""One claim after the other, in order of submission, from one generator: the same seed makes the same bytes."""

from random import Random

from sandbox.claims.defects import spoil
from sandbox.claims.forms import Made, Workshop, expense
from sandbox.claims.lines import LineMaker
from sandbox.claims.other_forms import loan, payment, receipt, requisition
from sandbox.claims.plan import Plan, Planner
from sandbox.loans import LoanBook
from sandbox.master import Master
from sandbox.parties import Parties

_CODE_LETTERS = {"expense": "B", "loan": "J", "payment": "Z", "receipt": "A", "requisition": "S"}


class ClaimFactory:
    """Makes the initial claims and any added later; keeps the loans and the deliberate defects it made."""

    def __init__(self, claims: int, now_ms: int, *, master: Master, parties: Parties, random: Random, calm: bool = False) -> None:
        self.loans = LoanBook()
        self.defects: dict[str, str] = {}
        self.oddities: dict[str, str] = {}
        self._planner = Planner(claims, now_ms, parties=parties, random=random, calm=calm)
        self._shop = Workshop(master, parties, self.loans, random, LineMaker(master, random))
        self._counters = dict.fromkeys(_CODE_LETTERS, 0)

    def make(self, seq: int) -> Made:
        """Claim `seq` of the initial tenant."""
        return self._build(self._planner.plan(seq))

    def fresh(self, seq: int, *, state: str, form_type: str, now_ms: int) -> Made:
        """A sound claim that went through its whole life just before `now_ms`."""
        return self._build(self._planner.fresh(seq, state, form_type=form_type, now_ms=now_ms))

    def _build(self, plan: Plan) -> Made:
        made = self._form(plan)
        if plan.defect:
            spoil(made.flow, plan.defect)
            self.defects[made.flow["id"]] = plan.defect
        if plan.oddity:
            self.oddities[made.flow["id"]] = plan.oddity
        return made

    def _form(self, plan: Plan) -> Made:
        if plan.form_type == "receipt":
            made = receipt(plan, self._shop, code=self._code("receipt"))
            if made is not None:
                return made
            plan.form_type = "expense"
        code = self._code(plan.form_type)
        maker = {"expense": expense, "loan": loan, "payment": payment, "requisition": requisition}[plan.form_type]
        return maker(plan, self._shop, code=code)

    def _code(self, form_type: str) -> str:
        self._counters[form_type] += 1
        return f"{_CODE_LETTERS[form_type]}26{self._counters[form_type]:06d}"
