"""``docs/mapping-reference.md``: every key of every mapping file, from the models' JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from etl.config.pages.markdown import page, table
from etl.config.schema import MODELS

_INTRO = """
Mappings are YAML 1.2 read as text: `0101` stays `0101`, `no` stays `no`, only `true` and `false` are booleans. Unknown and
repeated keys, anchors, aliases, tags and merge keys are refused. Dated entries are in force from `from` to `to`, both days
included; a side left out is open, and entries for the same thing must not overlap. There are no expressions.
A *code* is text of 1 to 60 characters; quote it when it looks like a number, so that other tools read it as text too.

`hesi-erp check-config` reports every mistake at once, with file, line and expected form. Editors with a YAML language server
complete and check the keys by the schemas in `mappings/schema/`.

The dimension types `employee` and `supplier` need no entry under `dimensions`: they come from the payee or the loan's owner.
"""
_CODE_LENGTH = 60
_PATTERNS = {
    "^[A-Z]{3}$": "currency code like `CNY`",
    r"^(form|line|share|department|payee|staff)\.[^.\s]+$": "field path like `form.u_field`; first part form, line, share, department, payee or staff",
}


def mapping_reference() -> str:
    """The page: one chapter per kind of file, one table per block of keys."""
    return page("Mapping reference", _INTRO, *_chapters())


def _chapters() -> Iterator[str]:
    for model, files in MODELS.values():
        schema = model.model_json_schema(by_alias=True)
        blocks = schema.get("$defs", {})
        yield f"## `{files}`"
        yield _block(schema)
        for name, block in blocks.items():
            if "properties" in block:
                yield f"### {name}"
                yield _block(block)


def _block(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (f"`{key}`", _form(value), "required" if key in required else _default(value), value.get("description", ""))
        for key, value in schema["properties"].items()
    ]
    text = " ".join(str(schema.get("description", "")).split()).replace("``", "`")
    return f"{text}\n\n{table(('Key', 'Form', 'Default', 'Meaning'), rows)}"


def _default(schema: dict[str, Any]) -> str:
    if schema.get("default") is None:
        return "may be left out"
    value = schema["default"]
    if value == "":
        return "empty"
    return f"`{json.dumps(value, ensure_ascii=False) if isinstance(value, bool | dict | list) else value}`"


def _form(schema: dict[str, Any]) -> str:
    """The form of a value in words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if choices:
        return " or ".join(f"`{choice}`" for choice in choices)
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        # A decimal is a number or its text in JSON Schema; a person only thinks of a number.
        numeric = any(branch.get("type") == "number" for branch in branches)
        return "number" if numeric else " or ".join(_form(branch) for branch in branches if branch.get("type") != "null")
    return _PLAIN[schema["type"]](schema)


def _text(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date":
        return "date like `2026-01-31`"
    if "pattern" in schema:
        return _PATTERNS.get(schema["pattern"], f"text of the form `{schema['pattern']}`")
    if schema.get("maxLength") == _CODE_LENGTH:
        return "code"
    return f"text, at most {schema['maxLength']} characters" if "maxLength" in schema else "text"


def _by_key(schema: dict[str, Any]) -> str:
    keys = _form({"type": "string", **schema.get("propertyNames", {})})
    return f"{_form(schema['additionalProperties'])} by {keys}"


_PLAIN: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "array": lambda schema: f"list of {_form(schema['items'])}",
    "object": _by_key,
    "string": _text,
    "integer": lambda schema: f"whole number from {schema['minimum']}" if "minimum" in schema else "whole number",
    "boolean": lambda _: "`true` or `false`",
    "number": lambda _: "number",
}
