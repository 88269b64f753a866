"""Loan packages: what is owed, what claims have written off (section 9)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from sandbox.ids import CORPORATION, Kind, opaque
from sandbox.money import Json, exact_money

NO_DUE_DATE = 9_007_199_254_740_991
_RESERVING = ("pending", "approving", "paying", "PROCESSING", "sending", "receiving")
_CONFIRMING = ("paid", "archived")


@dataclass(slots=True)
class Loan:
    """A loan form that may become a package once it is paid; amounts in cents of the company's currency."""

    flow_seq: int
    flow_id: str
    company: str
    currency: str
    owner: str
    total: int
    open: int
    paid_ms: int
    title: str
    due_ms: int
    settlements: list[tuple[int, int]] = field(default_factory=list)

    @property
    def package_id(self) -> str:
        """The id of the loan package, not of the loan form."""
        return opaque(Kind.LOAN_PACKAGE, self.flow_seq)


class LoanBook:
    """All loans of the tenant, and the open ones a new claim may write off."""

    def __init__(self) -> None:
        self.by_package: dict[str, Loan] = {}
        self.by_flow: dict[str, Loan] = {}
        self._open: dict[str, list[Loan]] = {}
        self._own: dict[tuple[str, str], list[Loan]] = {}

    def add(self, loan: Loan) -> None:
        """Take in the loan of a loan form; only a paid one can be written off."""
        self.by_package[loan.package_id] = loan
        self.by_flow[loan.flow_id] = loan
        if loan.paid_ms:
            self._open.setdefault(loan.company, []).append(loan)
            self._own.setdefault((loan.company, loan.owner), []).append(loan)

    def pick(self, company: str, owner: str, *, before_ms: int, random: Random) -> Loan | None:
        """An open loan paid before an instant: the owner's own where there is one, else a colleague's shared one."""
        candidates = self._open.get(company, [])
        for loan in self._own.get((company, owner), []):
            if loan.paid_ms < before_ms:
                return loan
        if not candidates:
            return None
        loan = candidates[int(random.random() * len(candidates))]
        return loan if loan.paid_ms < before_ms else None

    def settle(self, loan: Loan, flow_seq: int, cents: int) -> None:
        """Note that a claim or receipt settles part of a loan."""
        loan.settlements.append((flow_seq, cents))
        loan.open -= cents
        if loan.open <= 0:
            self._open[loan.company].remove(loan)
            self._own[(loan.company, loan.owner)].remove(loan)


def loan_info(loan: Loan, state_of: Callable[[int], str], *, by_package: bool) -> Json:
    """The loan package as the API shows it now; plain JSON numbers beside one money object."""
    reserved = sum(cents for seq, cents in loan.settlements if state_of(seq) in _RESERVING)
    repaid = sum(cents for seq, cents in loan.settlements if state_of(seq) in _CONFIRMING)
    remain = loan.total - reserved - repaid
    # REPAID means still to be repaid, PAID fully repaid: the names read the wrong way round.
    info: Json = {
        "version": 1, "active": True, "createTime": loan.paid_ms, "updateTime": loan.paid_ms,
        "corporationId": CORPORATION, "ownerId": loan.owner, "id": loan.package_id,
        "total": _number(loan.total) if loan.flow_seq % 5 else exact_money(loan.total, loan.currency)["standard"],
        "totalMoneyNode": exact_money(loan.total, loan.currency), "reserved": _number(reserved),
        "remain": _number(remain), "repayment": _number(repaid), "state": "REPAID" if remain else "PAID",
        "flowId": loan.flow_id, "title": loan.title, "repaymentDate": loan.due_ms, "loanDate": loan.paid_ms,
        "source": "LOAN", "sharedOwnerIds": [], "loanInfoRemind": False,
        "config": {
            "isLimitRepaymentDate": True, "allowModifyRepaymentDateConfig": None, "limitRepaymentDateRange": None,
            "foreignCurrency": None, "writtenOffMaxTimes": None, "ability": "loan",
        },
        "foreignCurrencyLoan": None, "foreignRemain": None, "foreignReserved": None, "foreignRepayment": None,
        "totalProfitAndLoss": None, "delayCount": 0, "writtenOffRemainTimes": None, "budgetRemain": None,
        "transfer": False, "transferId": None,
    }  # fmt: skip
    if by_package:
        info |= {"code": "", "overage": 0, "infoType": "LOAN", "realArrivalDate": loan.paid_ms}
    return info


def _number(cents: int) -> int | float:
    """The amount as Hesi's JSON number: an integer where it has no cents."""
    return cents // 100 if cents % 100 == 0 else cents / 100
