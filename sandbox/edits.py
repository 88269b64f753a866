"""What can happen to a flow after it was made: pure changes of its values, timed by the caller."""

from collections.abc import Callable
from typing import Any

from sandbox.claims.trail import log, mark_payment, payment_logs
from sandbox.ids import CORPORATION
from sandbox.money import Json

Change = Callable[[Json], None]
_ACTION_OF = {
    "rejected": "freeflow.reject", "approving": "freeflow.submit", "paying": "freeflow.agree",
    "nullify": "freeflow.nullify", "archived": "freeflow.archive", "draft": "freeflow.retract",
}  # fmt: skip


class UnknownPath(Exception):
    """A path of an edit leads nowhere in the flow."""


def set_values(flow: Json, values: dict[str, Any]) -> None:
    """Set values by dotted path, e.g. `form.details.0.feeTypeForm.amount.standard`; `-path` removes a key."""
    for path, value in values.items():
        *way, last = path.removeprefix("-").split(".")
        place: Any = flow
        for step in way:
            try:
                place = place[int(step)] if isinstance(place, list) else place[step]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise UnknownPath(f"{path}: no {step!r} there") from error
        if path.startswith("-"):
            place.pop(last, None)
        elif isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value


def enter_state(flow: Json, state: str, *, at: int) -> None:
    """Put the flow in a state with the trail that state has; `paid` without money moving, see `pay`."""
    form = flow["form"]
    flow["state"] = state
    if state == "paying":
        form["preNodeApprovedTime"] = form["timeToEnterPendingPayment"] = at
    elif state == "paid":
        form["flowEndTime"] = at
    elif state in ("rejected", "draft"):
        for key in ("timeToEnterPendingPayment", "flowEndTime"):
            form.pop(key, None)
    action = _ACTION_OF.get(state, "freeflow.modify")
    flow["logs"].append(log(action, state, operator=f"{CORPORATION}:admin", time=at, attributes={"comment": ""}))


def pay(flow: Json, account: str, *, at: int) -> None:
    """Have the cashier pay the flow from an account."""
    form = flow["form"]
    form.setdefault("preNodeApprovedTime", at)
    mark_payment(form, account, at)
    flow["state"] = "paid"
    form["flowEndTime"] = at
    flow["logs"] += payment_logs(at, account)


def write_voucher(flow: Json, *, number: str, created_ms: int) -> None:
    """Put a voucher number on the flow; an empty one takes number, status and time away."""
    flow["form"] |= {
        "voucherNo": number,
        "voucherStatus": "已生成" if number else "未生成",
        "voucherCreateTime": created_ms if number else 0,
    }


def comment(flow: Json, *, at: int) -> None:
    """Have somebody comment the flow: nothing of it changes but the log and updateTime."""
    flow["logs"].append(
        log("freeflow.comment", flow["state"], operator=f"{CORPORATION}:admin", time=at, attributes={"comment": "已阅"})
    )


def remove(flow: Json) -> None:
    """Delete the flow: it stays readable only in the list of deleted ones."""
    flow["active"] = False
