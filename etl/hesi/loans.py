"""Loan packages: what an employee still owes. Source: ``GET v1/loan/loanInfo/$id`` (flows/get-flow-byLoanInfoId.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from etl.errors import SourceRefused
from etl.hesi.client import Answer, HesiClient
from etl.hesi.endpoints import LOAN_INFO

_NO_PACKAGE = "获取不到对应的借款包"


@dataclass(frozen=True, slots=True)
class LoanPackage:
    """A package by id; ``answer`` is None while Hesi has none, which is normal before the loan completes.

    Inside, ``state`` reads the wrong way round: REPAID = still to be repaid, PAID = fully repaid.
    """

    package_id: str
    answer: Answer | None


def loan_packages(client: HesiClient, package_ids: Iterable[str]) -> Iterator[LoanPackage]:
    """Each distinct package once: there is no batch call, so repeats would cost a call each."""
    for package_id in dict.fromkeys(package_ids):
        if package_id:
            yield LoanPackage(package_id, _package(client, package_id))


def _package(client: HesiClient, package_id: str) -> Answer | None:
    try:
        return client.answer(LOAN_INFO, ids={"id": package_id})
    except SourceRefused as refused:
        if _NO_PACKAGE in refused.text:
            return None
        raise
