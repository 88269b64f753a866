"""What Hesi's lists tell about the ids on a claim: plain values, read by the client, used by the pure steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS


@dataclass(frozen=True, slots=True)
class Department:
    """``code`` is empty where Hesi has none or shares it between departments (trap 14)."""

    id: str
    code: str
    name: str
    parent_id: str
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ListItem:
    """A staff member, dimension item, fee type or payer account; ``code`` as for departments."""

    id: str
    code: str
    name: str
    parent_id: str = ""


@dataclass(frozen=True, slots=True)
class Payee:
    """``owner`` INDIVIDUAL or CORPORATION; ``staff_id`` empty for persons who are no employees."""

    id: str
    name: str
    owner: str
    staff_id: str
    fields: Mapping[str, str]


class Invoice(Struct, frozen=True, gc=False):
    """The invoice itself. Amounts in minor units, None where the kind has no such part; rates in percent text."""

    id: str
    kind: str
    gross_minor: int | None
    tax_minor: int | None
    fare_minor: int | None
    fuel_minor: int | None
    invoice_ms: int | None
    travel_ms: int | None
    buyer_tax_number: str
    buyer_name: str
    verified: bool | None
    items: tuple[tuple[str, str, int], ...] = ()  # item id, rate, tax
    traveller: str = ""

    def day(self, unknown: int) -> int:
        """Day of the invoice as days since 1970-01-01, ``unknown`` where it has none."""
        return unknown if self.invoice_ms is None else (self.invoice_ms + ACCOUNTING_OFFSET_MS) // DAY_MS


@dataclass(frozen=True)
class Reference:
    """All lists of one run, by id."""

    departments: Mapping[str, Department] = field(default_factory=dict)
    staffs: Mapping[str, ListItem] = field(default_factory=dict)
    fee_types: Mapping[str, ListItem] = field(default_factory=dict)
    dimension_items: Mapping[str, ListItem] = field(default_factory=dict)
    payees: Mapping[str, Payee] = field(default_factory=dict)
    payer_accounts: Mapping[str, ListItem] = field(default_factory=dict)
    loan_owners: Mapping[str, str] = field(default_factory=dict)  # package id -> staff id
    invoices: Mapping[str, Invoice] = field(default_factory=dict)
