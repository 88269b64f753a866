"""What the budget check reads and what it does: ``mappings/budget.yaml`` (accounting-rules 28)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from etl.config.mapping import Code, Strict

Action = Literal["warn", "hold", "reject"]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")]


class HesiBudgets(Strict):
    """Hesi's own budget nodes; a claim Hesi already counted there is never subtracted again."""

    kind: Literal["hesi"] = Field(description="hesi: the budget packages of the tenant")


class CsvBudgets(Strict):
    """Budgets kept by finance in a CSV file."""

    kind: Literal["csv"] = Field(description="csv: a file below the mappings folder")
    file: str = Field(min_length=1, description="File below the mappings folder, e.g. budgets/2026.csv")

    @model_validator(mode="after")
    def _inside(self) -> CsvBudgets:
        if self.file.startswith("/") or ".." in self.file.split("/") or "\\" in self.file:
            raise ValueError(f"expected a file below the mappings folder, found {self.file!r}")
        return self


class TableBudgets(Strict):
    """Budgets in a table of the ERP database."""

    kind: Literal["table"] = Field(description="table: a table of the ERP database")
    table: Identifier = Field(description="Table, or schema.table")


BudgetSource = Annotated[HesiBudgets | CsvBudgets | TableBudgets, Field(discriminator="kind")]


class BudgetPolicy(Strict):
    """How budgets are compared and what follows; a node's own control is reported but decides nothing."""

    version: Code = Field("default", description="Version of this file, free text")
    source: BudgetSource = Field(default_factory=lambda: HesiBudgets(kind="hesi"), description="Where budgets come from")
    basis: Literal["gross", "net"] = Field("gross", description="Compare with (gross) or without (net) deductible VAT")
    date: Literal["fee_date", "approval"] = Field("fee_date", description="Day that chooses the budget period")
    policy: Action = Field("warn", description="What happens to a claim that is over budget")
    companies: dict[Code, Action] = Field(default_factory=dict, description="Company code -> policy where it differs")
    on_not_computed: Literal["warn", "hold"] = Field("warn", description="What happens while Hesi recalculates the budget")
    hierarchy: Literal["segment"] = Field("segment", description="Codes are compared segment by segment: 1001 takes 1001.02 but never 10010")
    separator: str = Field(".", min_length=1, max_length=1, description="Character between the segments of a code")

    def action(self, company_code: str) -> Action:
        """What happens to an over-budget claim of this company."""
        return self.companies.get(company_code, self.policy)
