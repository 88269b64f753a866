"""Lines of an expense claim: fee type, amount, ticket, apportionment (section 5.4)."""

from dataclasses import dataclass, field
from random import Random

from sandbox.claims.plan import Plan
from sandbox.claims.shares import Share, apportions, draw_shares, project_of
from sandbox.claims.tickets import flight_itinerary, invoice_reference, rail_ticket, taxi_slip, vat_invoice
from sandbox.ids import Kind, line_number, opaque, template_version
from sandbox.master import COMPANIES, FeeType, Master
from sandbox.money import CURRENCIES, Json, foreign_money, half_up, line_money
from sandbox.parties import RATES

_DAY = 86_400_000
_COMPANIES = {company.code: company for company in COMPANIES}
_FEE_MIX = (
    ("TRAVEL-TAXI", 0.20), ("TRAVEL-RAIL", 0.34), ("TRAVEL-HOTEL", 0.50), ("TRAVEL-AIR", 0.58), ("TRAVEL", 0.64),
    ("OFFICE", 0.77), ("MEETING", 0.84), ("ENTERTAIN", 0.93), ("WELFARE", 1.0),
)  # fmt: skip
# Chance of a special (deductible) invoice and of an ordinary one, and the rate.
_INVOICED = {
    "TRAVEL-HOTEL": (0.75, 0.15, 6),
    "MEETING": (0.80, 0.10, 6),
    "OFFICE": (0.70, 0.20, 13),
    "ENTERTAIN": (0.10, 0.75, 6),
    "WELFARE": (0.20, 0.60, 13),
    "TRAVEL": (0.20, 0.50, 6),
    "TRAINING": (0.0, 0.9, 6),
    "TRAVEL-TAXI": (0.0, 0.45, 3),
}
_REASONS = ("客户拜访", "项目出差", "季度例会", "办公用品采购", "", "团队活动", "上线支持\n含加班", "培训与交流")
# A tenant maps these as never deductible: no shares on the net amount there.
_NEVER_NET = ("ENTERTAIN", "WELFARE")


@dataclass(slots=True)
class Line:
    """A line as it goes on the claim, with the amounts the form adds up; cents of the company's base currency."""

    fee: FeeType
    detail: Json
    cents: int
    shares: list[Share]
    tickets: list[Json] = field(default_factory=list)
    foreign: int = 0


class LineMaker:
    """Draws lines from the tenant's generator."""

    def __init__(self, master: Master, random: Random) -> None:
        self._master = master
        self._random = random
        self._templates = {fee.id: f"{fee.id}:expense:{template_version(fee.id)}" for fee in master.fees.values()}
        self._reusable: list[Json] = []

    def make(self, plan: Plan, number: int, *, fee_code: str = "", foreign: str = "") -> Line:
        """Line `number` of a claim; `foreign` is the currency it was spent in, empty for the base currency."""
        draw = self._random.random
        fee = self._master.fees[fee_code or _pick_fee(draw())]
        twice = plan.oddity == "invoice used twice" and number == 0 and bool(self._reusable)
        if twice:
            fee = self._master.fees["MEETING"]
        cents = self._reusable[-1]["gross"] if twice else _amount(fee, draw(), draw())
        money, cents, spent = self._money(cents, _COMPANIES[plan.company].currency, foreign)
        feeform: Json = {"amount": money}
        self._date(feeform, plan)
        feeform["invoice"] = "1"
        feeform["detailId"] = opaque(Kind.DETAIL, line_number(plan.seq, number))
        feeform["attachments"] = self._attachments(plan.seq, number)
        tickets = [] if foreign or twice else self._tickets(plan, number, fee=fee, cents=cents)
        tax = self._invoice_form(feeform, self._reusable if twice else tickets, cents=cents, plan=plan)
        shares = self._share(feeform, plan, number=number, fee=fee, cents=cents, tax=tax)
        feeform["consumptionReasons"] = _REASONS[int(draw() * len(_REASONS))]
        if draw() < 0.15:
            feeform["u_出行人"] = [plan.person.id]
        detail = {"feeTypeId": fee.id, "feeTypeForm": feeform, "specificationId": self._templates[fee.id]}
        return Line(fee, detail, cents, shares, tickets, spent)

    def _money(self, cents: int, base: str, foreign: str) -> tuple[Json, int, int]:
        """The money object, its base amount and, where spent abroad, its foreign amount in minor units."""
        draw = self._random.random
        if not foreign:
            return line_money(cents, base, draw), cents, 0
        system = RATES[foreign]
        rate = system + int(draw() * system / 100) if draw() < 0.4 else system
        scale = CURRENCIES[foreign].scale
        spent = max(1, half_up(cents * 10_000 * 10**scale, rate * 100))
        standard = half_up(spent * rate * 100, 10_000 * 10**scale)
        texts = [f"{value // 10_000}.{value % 10_000:04d}" for value in (rate, system)]
        return (
            foreign_money(standard, base, spent, code=foreign, rate=texts[0], system_rate=texts[1]),
            standard,
            spent,
        )

    def _date(self, feeform: Json, plan: Plan) -> None:
        draw = self._random.random
        spent = plan.submitted - int(draw() * 20) * _DAY
        midnight = (spent + 28_800_000) // _DAY * _DAY - 28_800_000
        if draw() < 0.8:
            feeform["feeDate"] = midnight
        else:
            feeform["feeDatePeriod"] = {"start": midnight - 2 * _DAY, "end": midnight}

    def _attachments(self, claim: int, number: int) -> list[Json]:
        if self._random.random() > 0.15:
            return []
        identifier = opaque(Kind.FILE, line_number(claim, number) * 8)
        return [{"key": f"票据-{claim}-{number}.jpg", "fileId": identifier, "fileName": "票据.jpg"}]

    def _tickets(self, plan: Plan, number: int, *, fee: FeeType, cents: int) -> list[Json]:
        draw = self._random.random
        date = plan.submitted - 3 * _DAY
        buyer, person, seq = plan.company, plan.person.name, plan.seq
        chance = draw()
        if plan.company == "C03":
            return []
        if fee.code == "TRAVEL-RAIL" and chance < 0.9:
            return [rail_ticket(seq, number * 2, gross=cents, date=date, buyer=buyer, person=person)]
        if fee.code == "TRAVEL-AIR" and chance < 0.9:
            return [flight_itinerary(seq, number * 2, gross=cents, date=date, buyer=buyer, person=person)]
        if fee.code == "TRAVEL-TAXI" and chance > 0.5:
            return [taxi_slip(seq, number * 2, gross=cents, date=date, buyer=buyer, person=person)]
        special, ordinary, rate = _INVOICED.get(fee.code, (0.0, 0.0, 6))
        if chance >= special + ordinary:
            return []
        deductible = chance < special
        parts = [cents // 3, cents - cents // 3] if cents > 9_000 and draw() < 0.06 else [cents]
        if len(parts) == 1 and deductible and draw() < 0.06:
            parts = [cents + cents // 9]  # the face is above what was approved
        return [
            vat_invoice(
                seq, number * 2 + n, gross=part, rate=rate, deductible=deductible, date=date, buyer=buyer, random=draw
            )
            for n, part in enumerate(parts)
        ]

    def _invoice_form(self, feeform: Json, tickets: list[Json], *, cents: int, plan: Plan) -> int:
        """The deductible tax in cents, 0 where it is open because less than the face was approved.

        Says on the line which tickets it has and remembers a special invoice for the claim that will use it again.
        """
        draw = self._random.random
        currency = _COMPANIES[plan.company].currency
        if tickets:
            face = sum(ticket["gross"] for ticket in tickets)
            approved = cents if face > cents else None
            entries = [invoice_reference(ticket, currency, approved=approved, random=draw) for ticket in tickets]
            feeform["invoiceForm"] = {"type": "exist", "invoices": entries}
            if (
                len(tickets) == 1
                and approved is None
                and tickets[0]["category"].endswith("SPECIAL")
                and plan.company == "C01"
            ):
                self._reusable = tickets[:1]
            return 0 if approved is not None else sum(ticket["tax"] for ticket in tickets if ticket["deductible"])
        chance = draw()
        if chance < 0.70:
            feeform["invoiceForm"] = {"type": "noExist"}
        elif chance < 0.85:
            photo = {
                "key": f"photo-{plan.seq}.jpg",
                "fileId": opaque(Kind.FILE, plan.seq * 512 + 7),
                "fileName": "照片.jpg",
            }
            feeform["invoiceForm"] = {"type": "exist", "attachments": [photo]}
        elif chance < 0.95:
            feeform["invoiceForm"] = {"type": "noWrite"}
        elif chance < 0.98:
            feeform["invoiceForm"] = {"type": "wait"}
        else:
            feeform["invoiceForm"] = {"type": "unify", "invoiceCorporationId": opaque(Kind.DIMENSION_ITEM, 700)}
        return 0

    def _share(self, feeform: Json, plan: Plan, *, number: int, fee: FeeType, cents: int, tax: int) -> list[Share]:
        """The shares of the line; without an apportionment one share by the claim's or the line's department."""
        draw = self._random.random
        departments = self._master.common_departments[plan.company]
        odd = plan.oddity == "department with empty or shared code or disabled" and number == 0
        if not odd and len(departments) > 1 and cents > 100 and draw() < 0.31:
            basis = cents
            if tax and fee.code not in _NEVER_NET and draw() < 0.12:
                basis = cents - tax
            shares = draw_shares(basis, departments, self._master, random=self._random)
            currency = _COMPANIES[plan.company].currency
            feeform["apportions"] = apportions(plan.seq, number, shares, currency=currency, random=self._random)
            return shares
        department = plan.person.department
        if odd:
            department = self._master.odd_departments[plan.seq % len(self._master.odd_departments)]
        elif draw() < 0.2:
            department = departments[int(draw() * len(departments))]
        if department != plan.person.department or draw() < 0.2:
            feeform["expenseDepartment"] = department
        project = project_of(department, self._master, self._random)
        if project:
            feeform["项目"] = project
        chance = draw()
        if chance < 0.30:
            feeform["apportions"] = []
        elif chance < 0.303:
            feeform["apportions"] = "false"
        return [Share(department, project, cents)]


def _pick_fee(draw: float) -> str:
    for code, limit in _FEE_MIX:
        if draw < limit:
            return code
    return _FEE_MIX[-1][0]


def _amount(fee: FeeType, draw: float, shape: float) -> int:
    """An amount of the fee's range, mostly in its lower half; one in three is round."""
    cents = fee.lowest + int((fee.highest - fee.lowest) * draw * draw)
    return cents // 100 * 100 if shape < 0.33 else cents
