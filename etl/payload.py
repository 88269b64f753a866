"""Typed view of the flow JSON: only the fields a voucher depends on, decoded straight from the page bytes.

Source: hesi-openapi, ``flows/get-forms-details-byStaff.md`` (list), ``flows/creat-and-save.md`` (fields). Keys are often
omitted, null or of another type than documented, so everything but the id is optional. A flow holds no cycles, so its
objects need no garbage collector. Custom fields (``u_...``, ``项目``, ``E_system_...``) that the mappings name are added to
the classes when a decoder is built: the tenant decides them, not this file. Money stays as raw JSON text until it is
parsed exactly.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import msgspec
import orjson
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from etl.errors import PayloadChanged
from etl.periods import LAST_MS, NO_DUE_DATE_MS

Text = str | None
# Beyond these an instant is no day of any calendar, and a number no int64: the claim is refused, not the whole chunk.
Instant = Annotated[int, Meta(ge=0, le=LAST_MS)] | None
DueDate = Annotated[int, Meta(ge=0, le=NO_DUE_DATE_MS)] | None
Version = Annotated[int, Meta(ge=0, le=2**62)] | None


class Money(Struct, gc=False):
    """A money object: text or number in major units, base currency first (section 6)."""

    standard: Raw | UnsetType = UNSET
    standardStrCode: Text = None
    foreign: Raw | UnsetType = UNSET
    foreignStrCode: Text = None
    rate: Raw | UnsetType = UNSET


class InvoiceUse(Struct, gc=False):
    """An invoice a detail uses; ``taxAmount`` is the deductible tax."""

    invoiceId: Text = None
    itemIds: list[str] | None = None
    taxAmount: Money | None = None
    taxRate: str | int | float | None = None
    approveAmount: Money | None = None


class InvoiceForm(Struct, gc=False):
    """``type``: exist, noExist, noWrite, wait, unify."""

    type: Text = None
    invoices: list[InvoiceUse] | None = None
    attachments: list[Any] | str | None = None


class DatePeriod(Struct, gc=False):
    """``feeDatePeriod``."""

    start: Instant = None
    end: Instant = None


class LinkedRequisition(Struct, gc=False):
    """``linkDetailEntities[]``."""

    expenseLink: Text = None


class WriteOff(Struct, gc=False):
    """``writtenOffRecords[]``: id = loan package, loanId = the loan form's flow id, amount = plain text."""

    id: Text = None
    loanId: Text = None
    amount: Raw | UnsetType = UNSET


class PayPlanRow(Struct, gc=False):
    """``payPlan[]``; keys of ``dataLinkForm`` end in 支付金额, 收款信息, 支付时间, 支付流水号."""

    dataLinkForm: dict[str, Raw] | None = None


class LogAttributes(Struct, gc=False):
    channelTradeNo: Text = None
    failureReason: Text = None


class Log(Struct, gc=False):
    """One approval-log entry; only its action, time, bank batch and what the bank said matter here."""

    action: Text = None
    time: Instant = None
    attributes: LogAttributes | None = None


SHARE_FIELDS: list[tuple[str, Any, Any]] = [
    ("apportionId", Text, None),
    ("apportionMoney", Money | None, None),
]
LINE_FIELDS: list[tuple[str, Any, Any]] = [
    ("amount", Money | None, None),
    ("feeDate", Instant | str, None),
    ("feeDatePeriod", DatePeriod | str | None, None),
    ("detailId", Text, None),
    ("invoiceForm", InvoiceForm | str | None, None),
    ("attachments", list[Any] | str | None, None),
    ("taxAmount", Money | None, None),
    ("taxRate", str | int | float | None, None),
    ("linkDetailEntities", list[LinkedRequisition] | None, None),
]
FORM_FIELDS: list[tuple[str, Any, Any]] = [
    ("code", Text, None),
    ("title", Text, None),
    ("submitterId", Text, None),
    ("payeeId", Text, None),
    ("expenseDepartment", Any, None),
    ("loanDepartment", Any, None),
    ("expenseMoney", Money | None, None),
    ("payMoney", Money | None, None),
    ("companyRealPay", Money | None, None),
    ("writtenOffMoney", Money | None, None),
    ("loanMoney", Money | None, None),
    ("receiptMoney", Money | None, None),
    ("requisitionMoney", Money | None, None),
    ("writtenOffRecords", list[WriteOff] | None, None),
    ("multiplePayeesMode", bool | None, None),
    ("payPlan", list[PayPlanRow] | None, None),
    ("payDate", Instant, None),
    ("paymentAccountId", Text, None),
    ("voucherNo", Text, None),
    ("flowEndTime", Instant, None),
    ("timeToEnterPendingPayment", Instant, None),
    ("receiptDate", Instant, None),
    ("repaymentDate", DueDate, None),
    ("expenseLink", Text, None),
    ("attachments", list[Any] | str | None, None),
]


UNREADABLE = "unreadable:"


def content_name(item: bytes) -> str:
    """What a claim without a readable id is called: the same content has the same name in every run."""
    return f"{UNREADABLE}{hashlib.sha256(item).hexdigest()[:24]}"


class _Item(Struct, gc=False):
    items: list[Raw]


@dataclass(frozen=True)
class FlowDecoder:
    """Decodes one flow; ``form``, ``line`` and ``share`` hold the custom fields asked for, in that order."""

    flow: msgspec.json.Decoder[Any]
    form: tuple[str, ...]
    line: tuple[str, ...]
    share: tuple[str, ...]


@functools.lru_cache(maxsize=8)
def flow_decoder(paths: tuple[str, ...]) -> FlowDecoder:
    """A decoder that also reads the custom fields ``paths`` names, e.g. ``share.项目``."""
    wanted: dict[str, list[str]] = {"form": [], "line": [], "share": []}
    for path in paths:
        level, _, key = path.partition(".")
        if level in wanted and key not in wanted[level]:
            wanted[level].append(key)
    share: Any = _struct("Share", SHARE_FIELDS, wanted["share"])
    apportion: Any = msgspec.defstruct("Apportion", [("apportionForm", share | None, None)], gc=False)
    line: Any = _struct("Line", [*LINE_FIELDS, ("apportions", list[apportion] | str | None, None)], wanted["line"])
    detail: Any = msgspec.defstruct("Detail", [("feeTypeId", Text, None), ("feeTypeForm", line | None, None)], gc=False)
    form = _struct("Form", [*FORM_FIELDS, ("details", list[detail] | None, None)], wanted["form"])
    flow = msgspec.defstruct(
        "Flow",
        [
            ("id", str),
            ("form", form),
            ("formType", str),
            ("state", Text, None),
            ("active", bool, True),
            ("version", Version, None),
            ("updateTime", Instant, None),
            ("ownerDefaultDepartment", Text, None),
            ("logs", list[Log] | None, None),
        ],
        gc=False,
    )
    return FlowDecoder(msgspec.json.Decoder(flow), *(tuple(wanted[level]) for level in ("form", "line", "share")))


def _struct(name: str, fields: list[tuple[str, Any, Any]], custom: Sequence[str]) -> type[Struct]:
    known = {field[0] for field in fields}
    extra = [(f"custom_{i}", Any, msgspec.field(default=None, name=key)) for i, key in enumerate(custom) if key not in known]
    return msgspec.defstruct(name, [*fields, *extra], gc=False)


def custom_reader(fields: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
    """Attribute names that hold the custom fields, in their order."""
    known = set(known)
    return tuple(key if key in known else f"custom_{i}" for i, key in enumerate(fields))


_PAGE = msgspec.json.Decoder(_Item)
_EXACT = msgspec.json.Decoder(float_hook=Raw)  # keeps 20.00 as it is written
_ENCODER = msgspec.json.Encoder()


def page_items(body: bytes) -> list[Raw]:
    """The raw items of a list page, in order.

    A page whose JSON a strict parser refuses because of one item (NaN, a lone surrogate, a broken byte, nesting without
    end) is cut item by item instead, so that only that claim is quarantined later.

    Raises:
        PayloadChanged: the page has no ``items`` list or is cut off.
    """
    try:
        return _PAGE.decode(body).items
    except (msgspec.MsgspecError, RecursionError) as error:
        cause = str(error)
    text = body.decode("utf-8", "surrogateescape")
    start = _ITEMS.match(text)
    if start is None:
        raise PayloadChanged(f"expected a page with a list named items, found something else ({cause}); compare with the Hesi documentation")
    try:
        return [Raw(item.encode("utf-8", "surrogateescape")) for item in _cut(text, start.end())]
    except ValueError:
        raise PayloadChanged(f"expected a complete JSON page, found a broken one ({cause}); run again") from None


_ITEMS = re.compile(r'\s*\{\s*(?:"count"\s*:\s*\d+\s*,\s*)?"items"\s*:\s*\[\s*')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_ITEM_END = re.compile(r"\s*[,\]]")


def _cut(text: str, at: int) -> Iterator[str]:
    """The items of the list that begins at ``at``, told apart by their brackets alone, whatever else is wrong inside."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        mark = token.group()
        if mark in ("[", "{"):
            depth += 1
        elif depth == 0 and mark in (",", "]", "}"):
            if mark != "]" or text[at : token.start()].strip():
                yield text[at : token.start()].strip()
            if mark != ",":
                return
            at = token.end()
        elif mark in ("]", "}"):
            depth -= 1
            if depth == 0 and _ITEM_END.match(text, token.end()) is None:
                raise ValueError("items are not separated by commas")
    raise ValueError("the list of items does not end")


def repeated_key(item: bytes) -> str | None:
    """The first repeated key of one flow, or None; parsers resolve it silently, by keeping one of the two.

    So a flow that is written again as it was had none, which is quickly seen of nearly every one. One in another notation (escapes,
    blanks inside) is read pair by pair.
    """
    if _written_again(item):
        return None

    def pairs(members: list[tuple[str, object]]) -> dict[str, object]:
        seen = dict(members)
        if len(seen) != len(members):
            names = [name for name, _ in members]
            raise _Repeated(next(name for name in names if names.count(name) > 1))
        return seen

    try:
        json.loads(item, object_pairs_hook=pairs, parse_float=str, parse_int=str, parse_constant=_not_json)
    except _Repeated as error:
        return str(error)
    except (ValueError, RecursionError):
        return None  # not JSON at all: the typed decoder says so
    return None


def _written_again(item: bytes) -> bool:
    """Whether the flow, read and written, is the same but for blanks; the quicker writer makes 20.0 of 20.00 and stops at deep nesting."""
    with contextlib.suppress(orjson.JSONDecodeError, orjson.JSONEncodeError):
        if orjson.dumps(orjson.loads(item)) == item:
            return True
    try:
        return _ENCODER.encode(_EXACT.decode(item)) == msgspec.json.format(item, indent=-1)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


class _Repeated(Exception):
    pass


def _not_json(name: str) -> NoReturn:
    raise ValueError(name)
