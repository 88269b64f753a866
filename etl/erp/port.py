"""What every target of vouchers promises: the port between the pipeline and an ERP.

A target posts a batch whole or not at all, never posts an entry twice, never edits what is posted, and tells what it took by
reading it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

import pandas as pd

from etl import frames


@dataclass(frozen=True)
class PostingChunk:
    """Some claims with everything map_fields made of them; every frame as its spec in :mod:`etl.frames` says.

    ``entries`` holds *all* entries of its claims, whatever their disposition: an open entry or reject of these claims that
    is not repeated here, or is ``gone``, is no longer due and is removed. Voucher frames hold at least the ready entries;
    a voucher whose ``entry_no`` is none of theirs undoes (``reverses_revision``) or corrects one that is posted.
    """

    entries: pd.DataFrame
    vouchers: pd.DataFrame = field(default_factory=frames.VOUCHERS.empty)
    voucher_lines: pd.DataFrame = field(default_factory=frames.VOUCHER_LINES.empty)
    line_dimensions: pd.DataFrame = field(default_factory=frames.LINE_DIMENSIONS.empty)
    line_sources: pd.DataFrame = field(default_factory=frames.LINE_SOURCES.empty)
    voucher_invoices: pd.DataFrame = field(default_factory=frames.VOUCHER_INVOICES.empty)
    rejects: pd.DataFrame = field(default_factory=frames.REJECTS.empty)
    commitments: pd.DataFrame = field(default_factory=frames.COMMITMENTS.empty)


@dataclass(frozen=True)
class PostingBatch:
    """All chunks of one transaction.

    Attributes:
        batch_id: the same id for the same batch, also when a step is tried again.
        created_at: aware instant of the posting; loaded_at and the voucher's creation time in Hesi.
        business_date: accounting day of the run; first_seen_on of rejects and found_on of drift.
        chunks: read one by one inside the transaction, so a batch of any size needs the memory of one chunk.
        watermarks: stream -> epoch milliseconds up to which everything is finished; never moves back.
        number_template: how Hesi gets a number: voucher_word, voucher_no, company_code, fiscal_period.
        suspense: claims whose payments may be posted before their accrual, because finance accepted them to a suspense account.
        fence: from :meth:`VoucherSink.fence`, taken before anything was read; None posts without one.
        audit_head: signed head of the audit log that announced the batch, ``audit_seq`` its entry; stored with the batch.
    """

    batch_id: str
    run_id: str
    created_at: datetime
    business_date: date
    chunks: Iterable[PostingChunk]
    watermarks: Mapping[str, int] = field(default_factory=dict)
    number_template: str = "{voucher_word}-{voucher_no}"
    mapping_sha256: str = ""
    expectations_sha256: str = ""
    package_version: str = ""
    audit_seq: int | None = None
    audit_head: str | None = None
    fence: datetime | None = None
    suspense: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class ControlTotal:
    """What was read back for one company and base currency, major units."""

    company_code: str
    currency: str
    vouchers: int
    lines: int
    debit: Decimal
    credit: Decimal


@dataclass(frozen=True, order=True)
class NumberRange:
    """The numbers one series got in this batch, first to last without a gap."""

    company_code: str
    book_code: str
    fiscal_year: int
    fiscal_period: int
    voucher_word: str
    first: int
    last: int


@dataclass(frozen=True)
class LoadReceipt:
    """What the target took, read back from it before the commit.

    Vouchers, lines and totals are those of the batch in the target, so that a batch tried again after its answer was lost gets
    the receipt it missed; the other counts are of this try. ``already_posted`` counts ready entries that were posted before
    and were left as they are; ``changed_rows`` counts state, reject, drift, outbox and commitment rows written.
    """

    batch_id: str
    vouchers: int = 0
    lines: int = 0
    dimensions: int = 0
    sources: int = 0
    invoices: int = 0
    already_posted: int = 0
    rejects_open: int = 0
    totals: tuple[ControlTotal, ...] = ()
    numbers: tuple[NumberRange, ...] = ()
    changed_rows: int = 0
    files: tuple[str, ...] = ()


class VoucherSink(Protocol):
    """A target of vouchers."""

    def prepare(self) -> None:
        """Brings the target's own structures to this version of the program; does nothing when they are."""

    def fence(self) -> datetime:
        """The fence of a run that begins to read now: what is read after it may be posted until a run with a later fence has posted."""

    def known_states(self, claim_ids: Sequence[str]) -> pd.DataFrame:
        """Where the entries of these claims stand, as :data:`KNOWN_STATES`."""

    def open_entries(self) -> pd.DataFrame:
        """Entries that are held, rejected or waiting, as :data:`OPEN_ENTRIES`, in order of claim, kind and part."""

    def unfit(self, chunk: PostingChunk) -> pd.DataFrame:
        """Ready entries this target cannot hold, as :data:`UNFIT`: the caller turns them into rejects before posting."""

    def post(self, batch: PostingBatch) -> LoadReceipt:
        """Posts the batch in one transaction.

        Raises:
            BatchRefused: duplicate key, payment without its accrual, or values :meth:`unfit` would have named.
            ControlTotalMismatch: what was read back differs from what was sent.
            SinkUnavailable: the connection was lost; AnotherRunActive: the posting lock was not free in
                time, or a run with a later fence has posted.
        """

    def close(self) -> None:
        """Gives back connections."""


KNOWN_STATES = frames.FrameSpec(
    "known_states",
    "one entry known to the target",
    ("claim_id", "entry_kind", "part_no"),
    {
        "claim_id": "str",
        "claim_code": "str",
        "entry_kind": "str",
        "part_no": "int64",
        "state": "str",
        "posted": "bool",
        "source_sha256": "str",
        "amount_minor": "int64",
        "currency": "str",
        "company_code": "str",
        "hesi_state": "str",
        "hesi_voucher_no": "str",
        "raw_ref": "str",
        "outbox_number": "str",
        "outbox_status": "str",
    },
    {
        "amount_minor": "as posted once posted",
        "outbox_number": "number written or to be written to Hesi; empty without one",
        "outbox_status": "PENDING, RETRY, FAILED, BLOCKED, DONE or empty",
    },
)
OPEN_ENTRIES = frames.FrameSpec(
    "open_entries",
    "one entry that is held, rejected or waiting",
    ("claim_id", "entry_kind", "part_no"),
    {
        "claim_id": "str",
        "claim_code": "str",
        "form_type": "str",
        "entry_kind": "str",
        "part_no": "int64",
        "state": "str",
        "company_code": "str",
        "currency": "str",
        "amount_minor": "int64",
        "source_sha256": "str",
        "raw_ref": "str",
    },
    {},
)
UNFIT = frames.FrameSpec(
    "unfit",
    "one ready entry the target cannot hold",
    ("entry_no",),
    {"entry_no": "int64", "claim_id": "str", "entry_kind": "str", "reason": "str"},
    {"reason": "which value of which column, and what the target can hold"},
)
