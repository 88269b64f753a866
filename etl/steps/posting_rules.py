"""What mapping and chart promise about the vouchers of each company, as the validation reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from etl.config.mapping import Chart, CompanyMapping, Mappings
from etl.frames import day_number

FIRST_DAY, LAST_DAY = day_number(date.min), day_number(date.max)
_ENCODINGS = {"bytes_gb18030": "gb18030", "bytes_utf8": "utf-8"}


@dataclass(frozen=True)
class AccountWindow:
    """Days on which an account may be used, and the dimensions a line on it must carry then."""

    first_day: int
    last_day: int
    dimensions: frozenset[str]


@dataclass(frozen=True)
class CompanyPromises:
    """What one company's mapping and chart promise about its voucher lines."""

    base_currency: str
    accounts: Mapping[str, tuple[AccountWindow, ...]]
    vat_account: str | None
    residual_account: str | None
    residual_limit: int
    summary_limit: int
    summary_encoding: str | None

    @classmethod
    def of(cls, company: CompanyMapping, chart: Chart) -> CompanyPromises:
        """The promises of one company."""
        fee_accounts = {code for fee in company.fee_types for code in fee.accounts.values()}
        accounts: dict[str, tuple[AccountWindow, ...]] = {}
        for account in chart.accounts:
            needed = {name for name, rule in account.dimensions.items() if rule == "required"}
            # Every expense debit carries its department, even where the chart calls it optional.
            if account.code in fee_accounts and account.dimensions.get("department") == "optional":
                needed.add("department")
            window = AccountWindow(
                day_number(account.from_) if account.from_ else FIRST_DAY,
                day_number(account.to) if account.to else LAST_DAY,
                frozenset(needed),
            )
            accounts[account.code] = (*accounts.get(account.code, ()), window)
        return cls(
            base_currency=company.company.base_currency,
            accounts=accounts,
            vat_account=company.input_vat.account if company.input_vat else None,
            residual_account=company.residual.account if company.residual else None,
            residual_limit=company.residual.limit_minor if company.residual else 0,
            summary_limit=company.voucher.summary_limit,
            summary_encoding=_ENCODINGS.get(company.voucher.summary_unit),
        )


PostingRules: TypeAlias = Mapping[str, CompanyPromises]


def posting_rules(mappings: Mappings) -> PostingRules:
    """Company code -> what its vouchers must look like; built once a run."""
    return {company.company.code: CompanyPromises.of(company, mappings.charts[company.chart]) for company in mappings.companies}
