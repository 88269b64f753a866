"""JSON Schemas of the mapping files, for editors: completion and mistakes while typing.

The program itself never reads them; :mod:`etl.config.yaml_model` is the judge. Written to ``mappings/schema/`` by
``python -m etl.config.generate``; each YAML file names its schema in its first line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from etl.config.budget_policy import BudgetPolicy
from etl.config.layouts import Layout
from etl.config.mapping import Chart, CompanyMapping, VatRules

# Schema name -> model, and the files it is for.
MODELS: Mapping[str, tuple[type[BaseModel], str]] = {
    "company": (CompanyMapping, "companies/*.yaml"),
    "chart": (Chart, "charts/*.yaml"),
    "vat": (VatRules, "vat/*.yaml"),
    "budget": (BudgetPolicy, "budget.yaml"),
    "layout": (Layout, "layouts/*.yaml"),
}
_PLAIN_TEXT = frozenset({"type", "minLength", "maxLength", "title", "description", "default"})


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one mapping file as an editor should see it."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_accepting_numbers(schema)}


def _accepting_numbers(node: Any) -> Any:
    """Editors read an unquoted 1002.01 as a number where this program reads text: both are right."""
    if isinstance(node, list):
        return [_accepting_numbers(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "string" and node.keys() <= _PLAIN_TEXT:
        return {**node, "type": ["string", "number"]}
    return {key: _accepting_numbers(value) for key, value in node.items()}
