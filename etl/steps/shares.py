"""Claim lines split into the shares that bear them, gross and net of tax.

Pure. Source: accounting-rules 9; hesi-openapi 5.4 (a split may be given on the gross or on the tax-free amount).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etl.frames import Columns
from etl.money import allocate_groups, to_text
from etl.steps.failures import Failures
from etl.steps.lookups import CompanyRules, look_up
from etl.steps.staged import StagedColumns

Array = npt.NDArray[Any]


@dataclass
class SharedLines:
    """One element per share; a line without shares is one share of itself.

    ``money`` is Hesi's share, ``tax`` its part of the booked tax, ``net`` what is debited: net + tax = the share's
    gross. ``line`` and ``share`` are rows of the staged frames (``share`` -1 without one).
    """

    entry: Array
    line: Array
    share: Array
    share_no: Array
    share_id: Array
    money: Array
    tax: Array
    net: Array
    department: Array
    account: Array

    def column(self, path: str, staged: StagedColumns, rules: CompanyRules) -> Array:
        """Text of a custom field path for every share."""
        level, _, key = path.partition(".")
        if level == "share":
            return self.share_column(path, staged)
        if level == "line":
            return staged.lines[path][self.line] if path in staged.lines else self._nothing()
        claim = staged.lines["claim"][self.line]
        if level == "form":
            return staged.claims[path][claim] if path in staged.claims else self._nothing()
        if level == "department":
            departments = rules.reference.departments
            return look_up(lambda id_: departments[id_].form.get(key, "") if id_ in departments else "", self.department)
        return self._nothing()

    def share_column(self, path: str, staged: StagedColumns) -> Array:
        """Text of a share-level field, empty for lines without shares."""
        if path not in staged.shares or not len(staged.shares["line"]):
            return self._nothing()
        values = staged.shares[path][np.maximum(self.share, 0)]
        values[self.share < 0] = ""
        return values

    def _nothing(self) -> Array:
        return np.full(len(self.line), "", dtype=object)


def share_lines(lines: Columns, tax_by_line: Array, hesi_tax_by_line: Array, staged: StagedColumns, failures: Failures) -> SharedLines:
    """The shares of ``lines`` (a slice of staged.lines with ``row`` and ``entry``).

    Sum of shares = amount: the split is on the gross amount; = amount - tax: on the net amount; anything else rejects.
    """
    entry_of = np.full(len(staged.lines["claim"]), -1)
    entry_of[lines["row"]] = lines["entry"]
    owner = staged.shares["line"]
    rows = np.flatnonzero(entry_of[owner] >= 0) if len(owner) else np.empty(0, dtype=np.int64)
    whole = np.setdiff1d(lines["row"], owner[rows])
    line = np.concatenate([owner[rows], whole]).astype(np.int64)
    share = np.concatenate([rows, np.full(len(whole), -1)]).astype(np.int64)
    order = np.lexsort((share, line))
    line, share = line[order], share[order]
    amount = staged.lines["amount_minor"]
    money = np.where(share >= 0, staged.shares["money_minor"][np.maximum(share, 0)] if len(owner) else 0, amount[line])
    tax, net = _split(line, money, staged.lines, tax_by_line, hesi_tax_by_line, entry_of, failures)
    take = np.maximum(share, 0)
    return SharedLines(
        entry=entry_of[line],
        line=line,
        share=share,
        share_no=np.where(share >= 0, staged.shares["share_no"][take] if len(owner) else 0, 0),
        share_id=np.where(share >= 0, staged.shares["share_id"][take] if len(owner) else "", ""),
        money=money,
        tax=tax,
        net=net,
        department=np.full(len(line), "", dtype=object),
        account=np.full(len(line), "", dtype=object),
    )


def _split(line: Array, money: Array, lines: Columns, tax_by_line: Array, hesi_tax_by_line: Array, entry_of: Array, failures: Failures) -> tuple[Array, Array]:
    """Tax and net of every share."""
    if not len(line):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    starts = np.flatnonzero(np.append(True, line[1:] != line[:-1]))
    sizes = np.diff(np.append(starts, len(line)))
    rows = line[starts]
    sums = np.add.reduceat(money, starts)
    booked, hesi, gross = tax_by_line[rows], hesi_tax_by_line[rows], lines["amount_minor"][rows]
    details, currencies = lines["detail_id"][rows], lines["currency"][rows]
    on_net = sums != gross
    included = np.where(sums == gross - booked, booked, np.where(sums == gross - hesi, hesi, 0))
    wrong = on_net & (sums + included != gross)
    for i in np.flatnonzero(wrong):
        failures.add(
            int(entry_of[rows[i]]),
            "APPORTION_SUM",
            f"expected shares of detail {details[i]} to add up to {to_text(gross[i], currencies[i])} gross or "
            f"{to_text(gross[i] - booked[i], currencies[i])} net, found {to_text(sums[i], currencies[i])}",
        )
    empty = (sums == 0) & ((booked != 0) | (included != 0) & on_net)
    for i in np.flatnonzero(empty & ~wrong):
        failures.add(
            int(entry_of[rows[i]]), "APPORTION_ZERO", f"shares of detail {details[i]} add up to zero but carry tax {to_text(booked[i], currencies[i])}"
        )
    ok = ~(wrong | empty)
    tax = allocate_groups(np.where(ok, booked, 0), money, starts)
    added = allocate_groups(np.where(ok & on_net, included, 0), money, starts)
    return tax, money + np.where(np.repeat(on_net & ok, sizes), added, 0) - tax
