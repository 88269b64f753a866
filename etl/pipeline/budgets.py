"""The budgets of a run, from wherever ``mappings/budget.yaml`` says they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from etl.config.budget_policy import BudgetPolicy, CsvBudgets, HesiBudgets, TableBudgets
from etl.config.mapping import Mappings
from etl.hesi.budget_view import packages_from_hesi
from etl.model_budget import BudgetPackage, Budgets, Hierarchies
from etl.pipeline.context import Run
from etl.reference import Department, ListItem, Reference
from etl.store.budget_tables import budgets_from_csv, budgets_from_table


def read_budgets(run: Run, reference: Reference, requisitions: Mapping[str, int]) -> tuple[Budgets, Hierarchies]:
    """All budgets and what is above departments, fee types and projects; once per run, in the check_budget step.

    Raw answers of Hesi are stored with the run's pages. A tenant without the budget feature has no budgets.

    Args:
        run: the run; its mappings name the source.
        reference: Hesi's lists.
        requisitions: requisition id -> minor units still open.

    Raises:
        TransientError: Hesi or the ERP database does not answer.
        ConfigError: the CSV or table of finance is wrong; every bad row is listed.
    """
    policy: BudgetPolicy = run.mappings.budget
    budgets = Budgets(policy.source.kind, _packages(run, policy, reference), requisitions)
    return budgets, hierarchies_of(reference, separator=policy.separator)


def hierarchies_of(reference: Reference, *, separator: str) -> Hierarchies:
    """Trees and codes of the values on budget lines; accounts have no tree and go by the segments of their codes."""
    trees: Mapping[str, Mapping[str, Department] | Mapping[str, ListItem]] = {
        "DEPART": reference.departments,
        "FEE_TYPE": reference.fee_types,
        "PROJECT": reference.dimension_items,
        "STAFF": reference.staffs,
    }
    return Hierarchies(
        parents={kind: {id_: item.parent_id for id_, item in tree.items() if item.parent_id} for kind, tree in trees.items()},
        codes={kind: {id_: item.code for id_, item in tree.items() if item.code} for kind, tree in trees.items()},
        separator=separator,
    )


def company_codes(mappings: Mappings, reference: Reference) -> dict[str, str]:
    """Id of each mapped legal entity (法人实体) -> company code."""
    codes: dict[str, str] = {}
    for company in (mapping.company for mapping in mappings.companies):
        codes |= dict.fromkeys(company.hesi.ids, company.code)
        codes |= {id_: company.code for id_, item in reference.dimension_items.items() if item.code in company.hesi.codes}
    return codes


def _packages(run: Run, policy: BudgetPolicy, reference: Reference) -> tuple[BudgetPackage, ...]:
    source = policy.source
    if isinstance(source, HesiBudgets):

        def keep(name: str, body: bytes) -> None:
            run.raw.write(run.run_id, f"{run.attempt}-{name}.json", body)

        return packages_from_hesi(run.client, keep, companies=company_codes(run.mappings, reference))
    if isinstance(source, CsvBudgets):
        return budgets_from_csv(run.settings.mappings / source.file, currency=_currency(run.mappings))
    if isinstance(source, TableBudgets):
        return budgets_from_table(run.sink.engine, source.table, currency=_currency(run.mappings))
    assert_never(source)


def _currency(mappings: Mappings) -> str:
    """The base currency all companies share; empty where they do not, so that every row has to say it."""
    currencies = {mapping.company.base_currency for mapping in mappings.companies}
    return currencies.pop() if len(currencies) == 1 else ""
