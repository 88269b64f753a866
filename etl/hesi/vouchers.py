"""Voucher numbers written back to claims. Source: ``PUT v2.1/flow/data/erpVoucher`` (flows/voucher-write-back.md).

Hesi takes a batch or refuses it, naming the first culprits in its sentence; whether a refused batch was taken
in part is not said. Repeating the same number is harmless, so what was not named is sent again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice

import msgspec

from etl.errors import SourceRefused
from etl.hesi.client import HesiClient
from etl.hesi.endpoints import ERP_VOUCHER
from etl.hesi.flows import detail

BATCH = 20
_IN_BRACKETS = re.compile(r"\[+([^\[\]]+)\]+")
_NOT_PAID = "不是已支付状态"
_UNKNOWN = "不存在此单据"


class WriteBack(Enum):
    """What became of one number."""

    WRITTEN = "written"
    NOT_PAID = "not paid"  # approving, paying, or already archived: the claim's state tells which
    UNKNOWN = "unknown claim"
    EMPTY = "empty number"  # never sent: to Hesi an empty number means "delete the number"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class VoucherNumber:
    """The number a claim gets. ``created_at_ms``: of the voucher, epoch ms. ``fiscal_period``: optional text."""

    flow_id: str
    number: str
    created_at_ms: int
    fiscal_period: str = ""


@dataclass(frozen=True, slots=True)
class WriteBackResult:
    """One result per number sent in; ``text`` holds Hesi's words when it refused."""

    flow_id: str
    outcome: WriteBack
    text: str = ""


class _Form(msgspec.Struct, rename="camel"):
    voucher_no: str | None = None


class _Claim(msgspec.Struct):
    form: _Form


class _Detail(msgspec.Struct):
    value: _Claim


def write_numbers(client: HesiClient, numbers: Iterable[VoucherNumber], *, batch_size: int = BATCH) -> Iterator[WriteBackResult]:
    """A result per number, yielded as soon as it is known, so that an outage half-way loses no result.

    Raises:
        TransientError: Hesi gave no usable answer; numbers without a result yet may be sent again.
        NotAllowed, AuthenticationFailed: nothing can be written with this application.
    """
    rest = iter(numbers)
    while batch := list(islice(rest, batch_size)):
        for number in batch:
            if not _sendable(number):
                yield WriteBackResult(number.flow_id, WriteBack.EMPTY, "an empty number would delete Hesi's number")
        yield from _write(client, list(filter(_sendable, batch)))


def carried_number(client: HesiClient, flow_id: str) -> str | None:
    """The voucher number a claim carries now, empty without one; None when Hesi no longer has the claim."""
    found = detail(client, flow_id)
    return None if found is None else msgspec.json.decode(found.reply.body, type=_Detail).value.form.voucher_no or ""


def clear_number(client: HesiClient, flow_id: str, *, created_at_ms: int) -> WriteBackResult:
    """Takes the number a claim carries away again: what an empty number means to Hesi. Never called where a number may still come.

    Raises:
        TransientError: Hesi gave no usable answer; :func:`carried_number` tells what became of it.
    """
    return WriteBackResult(flow_id, *_send(client, [VoucherNumber(flow_id, "", created_at_ms)]))


def named_ids(text: str) -> list[str]:
    """The claim ids inside the brackets of a refusal.

    >>> named_ids("单据Id:[[ID_3FQR$Yx5LWM, ID_2]]的单据不是已支付状态，不能回写单据凭证，请检查")
    ['ID_3FQR$Yx5LWM', 'ID_2']
    """
    return [part.strip().strip("\"'") for inside in _IN_BRACKETS.findall(text) for part in inside.split(",") if part.strip()]


def _sendable(number: VoucherNumber) -> bool:
    return bool(number.number.strip() and number.flow_id)


def _write(client: HesiClient, batch: Sequence[VoucherNumber]) -> Iterator[WriteBackResult]:
    waiting = list(batch)
    while waiting:
        outcome, text = _send(client, waiting)
        if outcome is WriteBack.WRITTEN:
            yield from (WriteBackResult(number.flow_id, outcome) for number in waiting)
            return
        named = set(named_ids(text)) & {number.flow_id for number in waiting}
        if not named and len(waiting) > 1:
            for number in waiting:
                yield from _write(client, [number])
            return
        culprits = [number for number in waiting if number.flow_id in named] or waiting
        yield from (WriteBackResult(number.flow_id, outcome, text) for number in culprits)
        waiting = [number for number in waiting if number not in culprits]


def _send(client: HesiClient, batch: Sequence[VoucherNumber]) -> tuple[WriteBack, str]:
    try:
        answer = client.answer(ERP_VOUCHER, body={"voucher": [_wire(number) for number in batch]})
    except SourceRefused as refused:
        if _NOT_PAID in refused.text:
            return WriteBack.NOT_PAID, refused.text
        if _UNKNOWN in refused.text:
            return WriteBack.UNKNOWN, refused.text
        return WriteBack.REFUSED, refused.text
    if answer.value is not True:
        return WriteBack.REFUSED, f"expected value true, found {str(answer.value)[:200]}"
    return WriteBack.WRITTEN, ""


def _wire(number: VoucherNumber) -> dict[str, str]:
    entry = {
        "flowId": number.flow_id,
        "voucherNo": number.number,
        "voucherCreateTime": str(number.created_at_ms),  # milliseconds, but as text
    }
    if number.fiscal_period:
        entry["fiscalPeriod"] = number.fiscal_period
    return entry
