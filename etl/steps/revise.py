"""What happens to a posted accrual when its claim changes: reversal and new revision, correction, reclassification.

Pure. Nothing posted is ever edited: red vouchers undo, blue ones say anew, both linked. Sources: accounting-rules 3,
25-27; golden case G08. Money that left is never reversed by an edit of the claim (rule 26).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from etl.config.mapping import CompanyMapping
from etl.frames import LINE_DIMENSIONS, LINE_SOURCES, NO_DAY, VOUCHER_LINES, VOUCHERS, day_of
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS
from etl.steps.lookups import CompanyRules
from etl.steps.map_fields import MappedClaims
from etl.steps.summaries import summary

NONE_REVERSED = -1
Line = dict[str, Any]


@dataclass(frozen=True)
class PostedVoucher:
    """A live voucher of the ledger, read back: header and lines as frame rows, dimensions inside the lines."""

    header: Mapping[str, Any]  # VOUCHERS columns and voucher_no
    lines: tuple[Line, ...]  # VOUCHER_LINES columns and dims: {dim_type: (code, name)}

    @property
    def key(self) -> tuple[str, str, int]:
        """Claim, kind and part."""
        return self.header["claim_id"], self.header["entry_kind"], self.header["part_no"]


@dataclass
class _Booked:
    """Vouchers this step adds, as rows."""

    next_entry: int
    vouchers: list[dict[str, Any]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    dims: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)

    def add(self, header: Mapping[str, Any], lines: Iterable[Line], *, reverses: int, rule: str) -> int:
        """Books one voucher and returns its entry number."""
        number = self.next_entry
        self.next_entry += 1
        kept = [line for line in lines if line["debit_minor"] or line["credit_minor"]]
        self.vouchers.append({**header, "entry_no": number, "reverses_revision": reverses, "total_minor": sum(line["debit_minor"] for line in kept)})
        for place, line in enumerate(kept, start=1):
            self.lines.append({**{name: line[name] for name in VOUCHER_LINES.columns if name in line}, "entry_no": number, "line_no": place, "summary": header["summary"]})
            self.dims += [
                {"entry_no": number, "line_no": place, "dim_type": dim_type, "dim_code": code, "dim_name": name} for dim_type, (code, name) in line["dims"].items()
            ]
            self.sources.append(
                {"entry_no": number, "line_no": place, "source_line_id": "voucher", "source_part": f"{header['entry_kind']}-{header['revision']}",
                 "amount_minor": line["debit_minor"] + line["credit_minor"], "fee_type_code": "", "rule": rule}
            )
        return number


def revise(
    mapped: MappedClaims, posted: Iterable[PostedVoucher], last_revisions: Mapping[tuple[str, str, str, int], int], rules: Mapping[str, CompanyRules], *, next_entry: int
) -> MappedClaims:
    """Turns drifting accruals and returned payments into revisions.

    Args:
        mapped: map_fields output where drifting EXPENSE entries carry the voucher (or reject) of their new version.
        posted: live vouchers of the drifting claims, all kinds.
        last_revisions: highest revision ever used by (claim, kind, company, part).
        rules: look-ups by company code.
        next_entry: first free entry number.
    """
    by_claim: dict[str, list[PostedVoucher]] = {}
    for voucher in posted:
        by_claim.setdefault(voucher.header["claim_id"], []).append(voucher)
    work = _Work(mapped, by_claim, dict(last_revisions), rules, _Booked(next_entry))
    for row in mapped.entries[mapped.entries["disposition"].isin(["drift", "returned"])].to_dict("records"):
        if row["entry_kind"] == "EXPENSE":
            work.revise_accrual(row)
        elif row["disposition"] == "returned":
            work.return_payment(row)
    return work.finish()


def continue_revisions(mapped: MappedClaims, last: Mapping[tuple[str, str, str, int], int]) -> MappedClaims:
    """First vouchers of keys that were used and reversed before get the next revision instead of 0."""
    vouchers = mapped.vouchers
    keys = zip(vouchers["claim_id"], vouchers["entry_kind"], vouchers["company_code"], vouchers["part_no"].tolist(), vouchers["revision"].tolist(), strict=True)
    revisions = [last[key[:4]] + 1 if key[4] == 0 and key[:4] in last else key[4] for key in keys]
    return replace(mapped, vouchers=vouchers.assign(revision=pd.Series(revisions, dtype="int64", index=vouchers.index)))


class _Work:
    """The revisions of one chunk."""

    def __init__(
        self, mapped: MappedClaims, by_claim: dict[str, list[PostedVoucher]], last: dict[tuple[str, str, str, int], int], rules: Mapping[str, CompanyRules], booked: _Booked
    ) -> None:
        self.mapped, self.by_claim, self.last, self.rules, self.booked = mapped, by_claim, last, rules, booked
        self.headers = {row["entry_no"]: row for row in mapped.vouchers.to_dict("records")}
        drifting = set(mapped.entries.loc[mapped.entries["disposition"] == "drift", "entry_no"])
        self.new_lines = _lines_of(mapped, drifting)
        self.rejected = {(row["claim_id"], row["entry_kind"]): row for row in mapped.rejects.to_dict("records")}
        self.dispositions: dict[int, str] = {}
        self.blue: dict[int, dict[str, Any]] = {}  # entry -> header changes of its new voucher
        self.dropped: set[int] = set()
        self.held_rejects: set[tuple[str, str]] = set()

    def next_revision(self, claim: str, kind: str, company: str, part: int) -> int:
        key = (claim, kind, company, part)
        self.last[key] = self.last.get(key, -1) + 1
        return self.last[key]

    def live(self, claim: str, kind: str) -> list[PostedVoucher]:
        return [voucher for voucher in self.by_claim.get(claim, []) if voucher.header["entry_kind"] == kind]

    def revise_accrual(self, entry: dict[str, Any]) -> None:
        claim = entry["claim_id"]
        originals = self.live(claim, "EXPENSE")
        if not originals:
            return
        original = originals[0]
        rules = self.rules.get(original.header["company_code"])
        if rules is None:
            return
        new = self.headers.get(entry["entry_no"])
        reject = self.rejected.get((claim, "EXPENSE"))
        paid = bool(self.live(claim, "PAYMENT"))
        if new is None and paid and reject is not None and not _policy_rejects(reject, rules):
            # Money has left: the change can only wait, the posted accrual stays (rule 3).
            self.held_rejects.add((claim, "EXPENSE"))
            return
        if new is not None and original.header["company_code"] == new["company_code"] and _same(original.lines, self.new_lines.get(entry["entry_no"], ())):
            # Nothing a voucher shows has changed (a title, a description): the posted one stands for the new version too.
            self.dropped.add(entry["entry_no"])
            self.dispositions[entry["entry_no"]] = "corrected"
            return
        day = self._day(entry, rules)
        if new is not None and _year(day) != original.header["fiscal_year"] and original.header["company_code"] == new["company_code"]:
            self._correct(entry, original, new, rules, day)
        elif new is None and _year(day) != original.header["fiscal_year"]:
            self._correct(entry, original, None, rules, day)
        else:
            self._reverse(original, rules, day)
            self._say_anew(entry, original, new, rules, day, reject)
        self._reclassify(entry, original, new, rules, day)

    def _day(self, entry: dict[str, Any], rules: CompanyRules) -> int:
        """Voucher day of the change: the day Hesi changed the claim if its period is open, else the first open day."""
        changed = max((entry["source_updated_ms"] + ACCOUNTING_OFFSET_MS) // DAY_MS, 0)
        return rules.open_day(changed)

    def _quote(self, voucher: PostedVoucher) -> dict[str, str]:
        when = day_of(voucher.header["voucher_day"])
        date_text = f"{when.year}年{when.month}月{when.day}日" if when else ""
        return {"date": date_text, "iso_date": str(when or ""), "number": f"{voucher.header['voucher_word']}-{voucher.header['voucher_no']}", "code": voucher.header["claim_code"]}

    def _reverse(self, original: PostedVoucher, rules: CompanyRules, day: int, *, template: str = "", attachments: int = 0) -> None:
        """A red voucher: same sides, negative amounts, nothing attached (rule 25)."""
        style = rules.mapping.voucher
        text = summary(style, template or style.summaries.reversal, **self._quote(original))
        header = {**original.header, **_period(day), "original_day": original.header["voucher_day"], "attachment_count": attachments, "summary": text,
                  "revision": self.next_revision(*original.key[:2], original.header["company_code"], original.header["part_no"])}
        self.booked.add(header, (_negated(line) for line in original.lines), reverses=original.header["revision"], rule="reversal")

    def _say_anew(self, entry: dict[str, Any], original: PostedVoucher, new: dict[str, Any] | None, rules: CompanyRules, day: int, reject: dict[str, Any] | None) -> None:
        if new is None:
            self.dispositions[entry["entry_no"]] = "reversed" if reject is None else reject["disposition"]
            return
        style = self.rules[new["company_code"]].mapping.voucher
        text = summary(style, style.summaries.restatement, **self._quote(original))
        revision = self.next_revision(entry["claim_id"], "EXPENSE", new["company_code"], new["part_no"])
        self.blue[entry["entry_no"]] = {**_period(day), "revision": revision, "summary": text}
        self.dispositions[entry["entry_no"]] = "ready"

    def _correct(self, entry: dict[str, Any], original: PostedVoucher, new: dict[str, Any] | None, rules: CompanyRules, day: int) -> None:
        """An earlier fiscal year is closed: a blue voucher for the difference in the new year (rule 25, golden case G08 c)."""
        after = self.new_lines.get(entry["entry_no"], []) if new is not None else []
        before = [line for voucher in (*self.live(entry["claim_id"], "EXPENSE"), *self.live(entry["claim_id"], "CORRECTION")) for line in voucher.lines]
        lines = _difference(before, after, rules.mapping)
        self.dropped.add(entry["entry_no"])
        self.dispositions[entry["entry_no"]] = "corrected"
        if not lines:
            return
        style = rules.mapping.voucher
        header = {**original.header, **_period(day), "entry_kind": "CORRECTION", "original_day": original.header["voucher_day"],
                  "summary": summary(style, style.summaries.correction, **self._quote(original)), "attachment_count": (new or original.header)["attachment_count"],
                  "revision": self.next_revision(entry["claim_id"], "CORRECTION", original.header["company_code"], original.header["part_no"])}
        self.booked.add(header, lines, reverses=NONE_REVERSED, rule="correction")

    def _reclassify(self, entry: dict[str, Any], original: PostedVoucher, new: dict[str, Any] | None, rules: CompanyRules, day: int) -> None:
        """What was paid beyond the new payable is a claim on the payee (rule 26); an earlier reclassification that no longer fits is reversed."""
        claim = entry["claim_id"]
        due = _owed(self.new_lines.get(entry["entry_no"], []), rules) if new is not None else {}
        paid: dict[tuple[str, str, str, str], int] = {}
        for voucher in self.live(claim, "PAYMENT"):
            for party, amount in _owed(voucher.lines, rules, side="debit_minor").items():
                paid[party] = paid.get(party, 0) + amount
        wanted = {party: amount - due.get(party, 0) for party, amount in paid.items() if amount > due.get(party, 0)}
        for voucher in self.live(claim, "RECLASS"):
            standing = _owed(voucher.lines, rules)
            if all(wanted.get(party, 0) == amount for party, amount in standing.items()):
                for party in standing:
                    wanted.pop(party, None)
            else:
                self._reverse(voucher, rules, day)
        for part, (party, amount) in enumerate(sorted(wanted.items()), start=1):
            if rules.mapping.payables.overpaid(party[1]) is None:
                continue  # no account mapped: the overpayment stays visible as a debit balance of the payable
            self._reclassify_party(entry, original, rules, day, part, party, amount)

    def _reclassify_party(
        self, entry: dict[str, Any], original: PostedVoucher, rules: CompanyRules, day: int, part: int, party: tuple[str, str, str, str], amount: int
    ) -> None:
        account, dim_type, code, name = party
        style, overpaid = rules.mapping.voucher, rules.mapping.payables.overpaid(dim_type) or account
        base = {**_blank_line(rules), "dims": {dim_type: (code, name)}}
        header = {**original.header, **_period(day), "entry_kind": "RECLASS", "part_no": part, "attachment_count": 0, "original_day": day,
                  "summary": summary(style, style.summaries.overpayment, payee=name, code=entry["claim_code"]),
                  "revision": self.next_revision(entry["claim_id"], "RECLASS", original.header["company_code"], part)}
        lines = [{**base, "account_code": overpaid, "debit_minor": amount}, {**base, "account_code": account, "credit_minor": amount}]
        self.booked.add(header, lines, reverses=NONE_REVERSED, rule=f"{rules.place}:payables")

    def return_payment(self, entry: dict[str, Any]) -> None:
        """The bank sent the money back: a red payment voucher dated the return day, the return slip attached (rule 26)."""
        for voucher in self.live(entry["claim_id"], "PAYMENT"):
            rules = self.rules.get(voucher.header["company_code"])
            if voucher.header["part_no"] != entry["part_no"] or rules is None:
                continue
            day = rules.open_day(entry["event_day"])
            self._reverse(voucher, rules, day, template=rules.mapping.voucher.summaries.returned_payment, attachments=1)
            self.dispositions[entry["entry_no"]] = "reversed"

    def finish(self) -> MappedClaims:
        """The frames with new vouchers, changed headers and dispositions; blue vouchers come after their red ones."""
        mapped, booked = self.mapped, self.booked
        renumber = {}
        for entry_no in self.blue:
            renumber[entry_no] = booked.next_entry
            booked.next_entry += 1
        entries = mapped.entries.assign(
            disposition=[self.dispositions.get(number, what) for number, what in zip(mapped.entries["entry_no"].tolist(), mapped.entries["disposition"], strict=True)]
        )
        entries["disposition"] = entries["disposition"].astype("str")
        entries = _settled(entries)
        vouchers = [self._header(row) for row in mapped.vouchers.to_dict("records") if self._kept(row["entry_no"])]
        rejects = mapped.rejects.copy()
        held = [key in self.held_rejects for key in zip(rejects["claim_id"], rejects["entry_kind"], strict=True)]
        rejects.loc[held, "disposition"] = "held"
        changed = {
            "entries": _renumbered(entries, renumber),
            "vouchers": _renumbered(VOUCHERS.from_rows([tuple(row[name] for name in VOUCHERS.columns) for row in [*vouchers, *booked.vouchers]]), renumber),
            "rejects": rejects,
        }
        extra = {"voucher_lines": (VOUCHER_LINES, booked.lines), "line_dimensions": (LINE_DIMENSIONS, booked.dims), "line_sources": (LINE_SOURCES, booked.sources)}
        for name, (spec, rows) in extra.items():
            kept = self._own(getattr(mapped, name))
            added = spec.from_rows([tuple(row[column] for column in spec.columns) for row in rows])
            changed[name] = _renumbered(pd.concat([kept, added], ignore_index=True) if rows else kept, renumber)
        for name in ("voucher_invoices", "budget_lines"):
            changed[name] = _renumbered(self._own(getattr(mapped, name)), renumber)
        return replace(mapped, **changed)

    def _header(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, **self.blue.get(row["entry_no"], {})}

    def _own(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[np.array([self._kept(number) for number in frame["entry_no"].tolist()], dtype=bool)]

    def _kept(self, entry_no: int) -> bool:
        """Whether an entry's own voucher is posted: not where only the difference is, or where the change waits."""
        return entry_no not in self.dropped and not (entry_no in self.new_lines and entry_no not in self.blue)


def _settled(entries: pd.DataFrame) -> pd.DataFrame:
    """Payments wait again where their accrual was taken back; what is reversed has no amount left."""
    kind, what = entries["entry_kind"], entries["disposition"]
    taken_back = entries.loc[(kind == "EXPENSE") & ~what.isin(["ready", "unchanged", "drift", "corrected"]), "claim_id"]
    waits = (kind == "PAYMENT") & (entries["form_type"] == "expense") & (what == "ready") & entries["claim_id"].isin(taken_back)
    return entries.assign(disposition=what.mask(waits, "waiting"), amount_minor=entries["amount_minor"].mask(what == "reversed", 0))


def _renumbered(frame: pd.DataFrame, numbers: Mapping[int, int]) -> pd.DataFrame:
    if not numbers:
        return frame.reset_index(drop=True)
    return frame.assign(entry_no=[numbers.get(number, number) for number in frame["entry_no"].tolist()]).reset_index(drop=True)


def _lines_of(mapped: MappedClaims, entry_nos: set[int]) -> dict[int, list[Line]]:
    """Voucher lines with their dimensions inside, by entry."""
    found: dict[int, list[Line]] = {}
    dims: dict[tuple[int, int], dict[str, tuple[str, str]]] = {}
    for row in mapped.line_dimensions[mapped.line_dimensions["entry_no"].isin(entry_nos)].itertuples(index=False):
        dims.setdefault((row.entry_no, row.line_no), {})[row.dim_type] = (row.dim_code, row.dim_name)
    for line in mapped.voucher_lines[mapped.voucher_lines["entry_no"].isin(entry_nos)].to_dict("records"):
        found.setdefault(line["entry_no"], []).append({**line, "dims": dims.get((line["entry_no"], line["line_no"]), {})})
    return found


_SHOWN = ("account_code", "currency", "fx_rate", "amount_fc_minor", "debit_minor", "credit_minor", "tax_code", "tax_rate", "business_day", "due_day", "dims")


def _same(before: Iterable[Line], after: Iterable[Line]) -> bool:
    """Whether two vouchers say the same, line by line."""
    return [[line[name] for name in _SHOWN] for line in before] == [[line[name] for name in _SHOWN] for line in after]


def _policy_rejects(reject: Mapping[str, Any], rules: CompanyRules) -> bool:
    """A period policy ``reject`` rejects even where money has left (golden case G11 c)."""
    return reject["rule"] == "PERIOD_CLOSED" and rules.period_disposition("EXPENSE") == "rejected"


def _year(day: int) -> int:
    when = day_of(day)
    return when.year if when else 0


def _period(day: int) -> dict[str, Any]:
    when = day_of(day)
    assert when is not None  # noqa: S101 - a posting day is always a day
    return {"voucher_day": day, "fiscal_year": when.year, "fiscal_period": when.month}


def _negated(line: Line) -> Line:
    return {**line, "debit_minor": -line["debit_minor"], "credit_minor": -line["credit_minor"], "amount_fc_minor": -line["amount_fc_minor"]}


def _blank_line(rules: CompanyRules) -> Line:
    text = dict.fromkeys(("fx_rate", "tax_code", "tax_rate", "settlement_no", "cash_flow_item", "source_line_id"), "")
    return {**text, "currency": rules.mapping.company.base_currency, "amount_fc_minor": 0, "debit_minor": 0, "credit_minor": 0, "due_day": NO_DAY, "business_day": NO_DAY, "dims": {}}


def _owed(lines: Iterable[Line], rules: CompanyRules, *, side: str = "credit_minor") -> dict[tuple[str, str, str, str], int]:
    """Payables per counterparty: (account, dimension, code, name) -> amount on one side."""
    payables = rules.mapping.payables
    found: dict[tuple[str, str, str, str], int] = {}
    for line in lines:
        if line["account_code"] not in (payables.employee, payables.supplier, payables.other_individual) or not line[side]:
            continue
        for dim_type, (code, name) in line["dims"].items():
            if dim_type in (payables.employee_dimension, payables.supplier_dimension):
                key = (line["account_code"], dim_type, code, name)
                found[key] = found.get(key, 0) + line[side]
    return found


def _difference(before: Iterable[Line], after: Iterable[Line], mapping: CompanyMapping) -> list[Line]:
    """Lines that lead from the posted vouchers to the new version, blue: a smaller debit becomes a credit and so on.

    Deducted tax that shrinks is transferred out (进项税额转出). Debits stand first.
    """
    nets: dict[tuple[Any, ...], int] = {}
    shape: dict[tuple[Any, ...], Line] = {}
    for sign, lines in ((-1, before), (1, after)):
        for line in lines:
            key = (line["account_code"], line["tax_rate"], tuple(sorted(line["dims"].items())))
            nets[key] = nets.get(key, 0) + sign * (line["debit_minor"] - line["credit_minor"])
            shape.setdefault(key, line)
    vat = mapping.input_vat
    found = []
    for key, net in nets.items():
        if not net:
            continue
        line = {**shape[key], "debit_minor": max(net, 0), "credit_minor": max(-net, 0), "amount_fc_minor": 0, "fx_rate": "", "currency": mapping.company.base_currency}
        if vat is not None and line["account_code"] == vat.account and net < 0 and vat.transfer_out:
            line["account_code"] = vat.transfer_out
        found.append(line)
    return sorted(found, key=lambda line: line["debit_minor"] == 0)
