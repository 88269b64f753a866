"""What happens to a posted accrual when its claim changes: reversal and new revision, correction, reclassification.

Pure. Nothing posted is ever edited: red vouchers undo, blue ones say anew, both linked. Sources: accounting-rules 3,
25-27; golden cases G08 and G12. Money that left is never reversed by an edit of the claim (rule 26).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pandas as pd

from etl.frames import day_of, records, tuples
from etl.periods import ACCOUNTING_OFFSET_MS, DAY_MS
from etl.steps.lookups import CompanyRules
from etl.steps.mapped import MappedClaims
from etl.steps.revision_lines import (
    BookedVouchers,
    Line,
    Party,
    amounts_moved,
    blank_line,
    difference,
    negated,
    on_account,
    owed,
    same_lines,
    through_prior_year,
)
from etl.steps.revision_work import STANDS, PostedVoucher, RevisionKey, RevisionWork
from etl.steps.summaries import summary

NONE_REVERSED = -1


def revise(
    mapped: MappedClaims,
    posted: Iterable[PostedVoucher],
    last_revisions: Mapping[RevisionKey, int],
    rules: Mapping[str, CompanyRules],
    *,
    next_entry: int,
) -> MappedClaims:
    """Turns drifting accruals, returned payments and what follows from them into revisions.

    Args:
        mapped: map_fields output where drifting EXPENSE entries carry the voucher (or reject) of their new version.
        posted: live vouchers, all kinds, of the claims that drift, were sent money back, or post again after a revision.
        last_revisions: highest revision ever used by (claim, kind, company, part).
        rules: look-ups by company code.
        next_entry: first free entry number.
    """
    by_claim: dict[str, list[PostedVoucher]] = {}
    for voucher in posted:
        by_claim.setdefault(voucher.header["claim_id"], []).append(voucher)
    work = RevisionWork(mapped, by_claim, dict(last_revisions), rules, BookedVouchers(next_entry))
    entries = mapped.entries[mapped.entries["claim_id"].isin(list(by_claim)) & mapped.entries["disposition"].isin(["drift", "returned", "ready"])]
    for claim, rows in entries.groupby("claim_id", sort=False):
        _Claim(work, str(claim), records(rows)).revise()
    return work.finish()


def continue_revisions(mapped: MappedClaims, last: Mapping[RevisionKey, int]) -> MappedClaims:
    """First vouchers of keys that were used and reversed before get the next revision instead of 0."""
    if not last:
        return mapped
    vouchers = mapped.vouchers
    keys = tuples(vouchers, "claim_id", "entry_kind", "company_code", "part_no", "revision")
    revisions = [last[key[:4]] + 1 if key[4] == 0 and key[:4] in last else key[4] for key in keys]
    return replace(mapped, vouchers=vouchers.assign(revision=pd.Series(revisions, dtype="int64", index=vouchers.index)))


class _Claim:
    """The revisions of one claim: returned money first, then the accrual, then what is paid beyond it."""

    def __init__(self, work: RevisionWork, claim: str, entries: list[dict[str, Any]]) -> None:
        self.work, self.claim, self.entries = work, claim, entries
        self.posted = work.by_claim[claim]
        self.returned: list[PostedVoucher] = []
        self.accrued: dict[str, list[Line]] = {}  # company -> lines of its accrual as they stand after this run
        for voucher in (*self.live("EXPENSE"), *self.live("CORRECTION")):
            self.accrued.setdefault(voucher.company, []).extend(voucher.lines)
        self.days: list[int] = []  # days of the changes that move what is owed or paid

    def live(self, kind: str) -> list[PostedVoucher]:
        return [voucher for voucher in self.posted if voucher.header["entry_kind"] == kind]

    def payments(self) -> list[PostedVoucher]:
        return [voucher for voucher in self.live("PAYMENT") if voucher not in self.returned]

    def revise(self) -> None:
        for entry in self.entries:
            if entry["disposition"] == "returned":
                self._return_payment(entry)
        accrual = next((entry for entry in self.entries if entry["entry_kind"] == "EXPENSE"), None)
        if accrual is not None:
            self._revise_accrual(accrual)
        stands = accrual is None or self.work.dispositions.get(accrual["entry_no"], accrual["disposition"]) in STANDS
        ready = [entry for entry in self.entries if stands and entry["entry_kind"] == "PAYMENT" and entry["disposition"] == "ready"]
        paid_now = [entry for entry in ready if entry["entry_no"] in self.work.new_lines]
        self.days += [entry["event_day"] for entry in paid_now]
        if self.days:
            for company in sorted({voucher.company for voucher in (*self.payments(), *self.live("RECLASS"))} & set(self.work.rules)):
                self._reclassify(company, paid_now)

    def _revise_accrual(self, entry: dict[str, Any]) -> None:
        standing = self.live("EXPENSE")
        if entry["hesi_state"] == "unreadable" or not {voucher.company for voucher in standing} <= set(self.work.rules):
            return  # nobody can say what the new version is: it stays on the drift list
        new, reject = self.work.headers.get(entry["entry_no"]), self.work.rejected.get((self.claim, "EXPENSE"))
        home = new["company_code"] if new is not None else ""
        after = self.work.new_lines.get(entry["entry_no"], []) if new is not None else []
        if not standing:
            self._posted_again(entry, home, after)
            return
        rejects = reject is not None and any(_policy_rejects(reject, self.work.rules[voucher.company]) for voucher in standing)
        if new is None and reject is not None and self.payments() and not rejects:
            # Money has left: the change can only wait, the posted accrual stays (rule 3).
            self.work.held_rejects.add((self.claim, "EXPENSE"))
            return
        if len(standing) == 1 and set(self.accrued) == {home} and not self.live("CORRECTION") and same_lines(standing[0].lines, after):
            # Nothing a voucher shows has changed (a title, a description): the posted one stands for the new version too.
            self.work.dropped.add(entry["entry_no"])
            self.work.dispositions[entry["entry_no"]] = "corrected"
            return
        self.days.append(_changed_on(entry))
        undone = [original for original in standing if self._undo(entry, original, new if original.company == home else None)]
        if new is None:
            self.work.dispositions[entry["entry_no"]] = "reversed" if reject is None else reject["disposition"]
        elif entry["entry_no"] not in self.work.dropped:
            self._say_anew(entry, new, undone)
            self.accrued[home] = after

    def _posted_again(self, entry: dict[str, Any], home: str, after: list[Line]) -> None:
        """An accrual that was taken back posts again like a first one: what was paid meanwhile is owed again."""
        if after:
            self.accrued[home] = after
            self.days.append(_changed_on(entry))

    def _undo(self, entry: dict[str, Any], original: PostedVoucher, new: dict[str, Any] | None) -> bool:
        """Takes one posted accrual back with its corrections, or leads it to the new version; whether anything was booked.

        Led where its year is over, or where only amounts moved and the mapping wants the difference.
        """
        rules = self.work.rules[original.company]
        corrections = [voucher for voucher in self.live("CORRECTION") if voucher.company == original.company]
        day = _day(rules, _changed_on(entry), original, *corrections)
        before = self.accrued.get(original.company, [])
        after = self.work.new_lines.get(entry["entry_no"], []) if new is not None else []
        texts = rules.mapping.voucher.summaries
        if _year(day) != original.header["fiscal_year"]:
            lines = through_prior_year(difference(before, after, rules.mapping), before, rules, day)
            return self._correct(entry, original, new, rules=rules, day=day, lines=lines, template=texts.correction)
        moved = amounts_moved(before, after) if rules.mapping.correction == "difference" else None
        if moved is not None:
            return self._correct(entry, original, new, rules=rules, day=day, lines=moved, template=texts.restatement)
        for voucher in (original, *corrections):
            self._reverse(voucher, rules, day)
        self.accrued[original.company] = []
        return True

    def _reverse(self, original: PostedVoucher, rules: CompanyRules, day: int, *, template: str = "", attachments: int = 0) -> None:
        """A red voucher: same sides, negative amounts, nothing attached (rule 25)."""
        style = rules.mapping.voucher
        text = summary(style, template or style.summaries.reversal, **_quote(original))
        kind, part = original.header["entry_kind"], original.header["part_no"]
        header = {
            **original.header,
            **_period(day),
            "original_day": original.header["voucher_day"],
            "attachment_count": attachments,
            "summary": text,
            "revision": self.work.next_revision(self.claim, kind, original.company, part),
        }
        self.work.booked.add(header, (negated(line) for line in original.lines), reverses=original.header["revision"], rule="reversal")

    def _say_anew(self, entry: dict[str, Any], new: dict[str, Any], undone: list[PostedVoucher]) -> None:
        """The new version's own voucher; it quotes the one it replaces where there is one."""
        rules = self.work.rules[new["company_code"]]
        day = _day(rules, _changed_on(entry), *undone)
        changes = {**_period(day), "revision": self.work.next_revision(self.claim, "EXPENSE", new["company_code"], new["part_no"])}
        if undone:
            style = rules.mapping.voucher
            changes["summary"] = summary(style, style.summaries.restatement, **_quote(undone[0]))
        self.work.blue[entry["entry_no"]] = changes
        self.work.dispositions[entry["entry_no"]] = "ready"

    def _correct(
        self,
        entry: dict[str, Any],
        original: PostedVoucher,
        new: dict[str, Any] | None,
        *,
        rules: CompanyRules,
        day: int,
        lines: list[Line],
        template: str,
    ) -> bool:
        """One voucher of ``lines`` leads the posted one to the new version (rule 25, golden case G08); whether there was anything to book."""
        lines = [line for line in lines if line["debit_minor"] or line["credit_minor"]]
        self.accrued[original.company] = self.work.new_lines.get(entry["entry_no"], []) if new is not None else []
        if new is not None:
            self.work.dropped.add(entry["entry_no"])
            self.work.dispositions[entry["entry_no"]] = "corrected"
        if lines:
            if new is not None:
                self.work.led[entry["entry_no"]] = self.work.booked.next_entry  # the new version's invoices belong to it (rule 17)
            style = rules.mapping.voucher
            header = {
                **original.header,
                **_period(day),
                "entry_kind": "CORRECTION",
                "original_day": original.header["voucher_day"],
                "summary": summary(style, template, **_quote(original)),
                "attachment_count": (new or original.header)["attachment_count"],
                "revision": self.work.next_revision(self.claim, "CORRECTION", original.company, original.header["part_no"]),
            }
            self.work.booked.add(header, lines, reverses=NONE_REVERSED, rule="correction")
        return bool(lines)

    def _clear_suspense(self, company: str) -> tuple[list[Line], set[int]]:
        """What was accepted to suspense pays the payable as soon as the accrual stands (rule 3).

        Returns the lines of the vouchers that move it there, and their part numbers.
        """
        rules = self.work.rules[company]
        account, accrued = rules.mapping.payables.suspense or "", self.accrued.get(company, [])
        paid = [voucher for voucher in self.payments() if voucher.company == company]
        reclassified = [voucher for voucher in self.live("RECLASS") if voucher.company == company]
        cleared = [voucher for voucher in reclassified if _clears(voucher, rules)]
        waiting = on_account(account, (line for voucher in paid for line in voucher.lines), rules)
        moved = on_account(account, (line for voucher in cleared for line in voucher.lines), rules)
        if not accrued or all(waiting.get(party, 0) == -moved.get(party, 0) for party in waiting.keys() | moved.keys()):
            return [line for voucher in cleared for line in voucher.lines], {voucher.header["part_no"] for voucher in cleared}
        day = _day(rules, max(self.days), *paid, *cleared)
        for voucher in cleared:
            self._reverse(voucher, rules, day)
        if not waiting:
            return [], set()
        part = next(number for number in count(1) if all(voucher.header["part_no"] != number for voucher in reclassified if voucher not in cleared))
        return self._move_to_payable(rules, day, part, waiting=waiting, origin=paid[0]), {part}

    def _move_to_payable(self, rules: CompanyRules, day: int, part: int, *, waiting: Mapping[tuple[str, str, str], int], origin: PostedVoucher) -> list[Line]:
        payables, style = rules.mapping.payables, rules.mapping.voucher
        owing = {party[1:3]: party[0] for party in owed(self.accrued[rules.mapping.company.code], rules)}
        lines: list[Line] = []
        for (dim_type, code, name), amount in sorted(waiting.items()):
            usual = payables.employee if dim_type == payables.employee_dimension else payables.supplier
            line = {**blank_line(rules), "dims": {dim_type: (code, name)}}
            lines.append({**line, "account_code": owing.get((dim_type, code), usual), "debit_minor": amount})
            lines.append({**line, "account_code": payables.suspense, "credit_minor": amount})
        text = summary(style, style.summaries.suspense_cleared, payee=next(iter(sorted(waiting)))[2], code=origin.header["claim_code"])
        self._book_reclass(origin, rules, day, part, text=text, lines=lines)
        return lines

    def _reclassify(self, company: str, paid_now: list[dict[str, Any]]) -> None:
        """What was paid beyond the payable is a claim on the payee (rule 26); an earlier reclassification that no longer fits is reversed.

        The reversal is red in any year: it moves a balance between two payables and no profit of an earlier year.
        """
        rules = self.work.rules[company]
        cleared, taken = self._clear_suspense(company)
        lines = [*self.accrued.get(company, []), *(line for voucher in self.payments() if voucher.company == company for line in voucher.lines), *cleared]
        lines += [line for entry in paid_now if entry["company_code"] == company for line in self.work.new_lines[entry["entry_no"]]]
        beyond = {party: -net for party, net in owed(lines, rules).items() if net < 0 and rules.mapping.payables.overpaid(party[1])}
        day = max(self.days)
        for voucher in self.live("RECLASS"):
            if voucher.company != company or _clears(voucher, rules):
                continue
            standing = {party: net for party, net in owed(voucher.lines, rules).items() if net}
            if standing.items() <= beyond.items():
                beyond = {party: amount for party, amount in beyond.items() if party not in standing}
                taken.add(voucher.header["part_no"])
            else:
                self._reverse(voucher, rules, _day(rules, day, voucher))
        parts = (part for part in range(1, len(beyond) + len(taken) + 1) if part not in taken)
        for part, (party, amount) in zip(parts, sorted(beyond.items()), strict=False):
            self._reclassify_party(rules, rules.open_day(day), part, party=party, amount=amount)

    def _reclassify_party(self, rules: CompanyRules, day: int, part: int, *, party: Party, amount: int) -> None:
        account, dim_type, code, name = party
        company, style = rules.mapping.company.code, rules.mapping.voucher
        origin = next(voucher for voucher in (*self.payments(), *self.posted) if voucher.company == company)
        base = {**blank_line(rules), "dims": {dim_type: (code, name)}}
        overpaid = rules.mapping.payables.overpaid(dim_type)
        lines = [{**base, "account_code": overpaid, "debit_minor": amount}, {**base, "account_code": account, "credit_minor": amount}]
        text = summary(style, style.summaries.overpayment, payee=name, code=origin.header["claim_code"])
        self._book_reclass(origin, rules, day, part, text=text, lines=lines)

    def _book_reclass(self, origin: PostedVoucher, rules: CompanyRules, day: int, part: int, *, text: str, lines: list[Line]) -> None:
        header = {
            **origin.header,
            **_period(day),
            "entry_kind": "RECLASS",
            "part_no": part,
            "attachment_count": 0,
            "original_day": day,
            "summary": text,
            "revision": self.work.next_revision(self.claim, "RECLASS", rules.mapping.company.code, part),
        }
        self.work.booked.add(header, lines, reverses=NONE_REVERSED, rule=f"{rules.place}:payables")

    def _return_payment(self, entry: dict[str, Any]) -> None:
        """The bank sent the money back: a red voucher dated the return day, the return slip attached (rule 26)."""
        for voucher in self.live(entry["entry_kind"]):
            rules = self.work.rules.get(voucher.company)
            if voucher.header["part_no"] != entry["part_no"] or rules is None:
                continue
            self._reverse(voucher, rules, _day(rules, entry["event_day"], voucher), template=rules.mapping.voucher.summaries.returned_payment, attachments=1)
            self.returned.append(voucher)
            self.days.append(entry["event_day"])
            self.work.dispositions[entry["entry_no"]] = "reversed"


def _clears(voucher: PostedVoucher, rules: CompanyRules) -> bool:
    """Whether a reclassification moved money from suspense to a payable, and not beyond one to a receivable."""
    return any(net < 0 for net in owed(voucher.lines, rules).values())


def _quote(voucher: PostedVoucher) -> dict[str, str]:
    """How a later voucher's summary names this one."""
    when = day_of(voucher.header["voucher_day"])
    date_text = f"{when.year}年{when.month}月{when.day}日" if when else ""
    number = f"{voucher.header['voucher_word']}-{voucher.header['voucher_no']}"
    return {"date": date_text, "iso_date": str(when or ""), "number": number, "code": voucher.header["claim_code"]}


def _changed_on(entry: Mapping[str, Any]) -> int:
    """Day Hesi changed the claim."""
    return int(max((entry["source_updated_ms"] + ACCOUNTING_OFFSET_MS) // DAY_MS, 0))


def _day(rules: CompanyRules, changed: int, *undone: PostedVoucher) -> int:
    """Voucher day of a change: its own if the period is open, else the first open day; never before what it undoes."""
    return rules.open_day(max([changed, *(voucher.header["voucher_day"] for voucher in undone)]))


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
