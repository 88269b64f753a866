"""A YAML document as a typed model, or every mistake in it with file, line and expected form."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from etl.config.yaml_file import Document, Place, found
from etl.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

# What a person reads for pydantic's error types; {x} comes from the error's context.
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "at least {min_length} character(s)",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "literal_error": "{expected}",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "decimal_type": "a number like 6 or 1.5",
    "decimal_parsing": "a number like 6 or 1.5",
    "finite_number": "a number like 6 or 1.5",
    "date_type": "a date like 2026-01-31",
    "date_parsing": "a date like 2026-01-31",
    "date_from_datetime_parsing": "a date like 2026-01-31",
    "date_from_datetime_inexact": "a date like 2026-01-31",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "union_tag_invalid": "{discriminator} to be one of {expected_tags}",
    "union_tag_not_found": "the key {discriminator}",
}


def model_from(document: Document, model: type[Model]) -> Model:
    """The document as ``model``.

    Raises:
        ConfigError: ``problems`` holds every mistake, as ``file:line: key path: expected ..., found ...``.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = tuple(_problems(document, model, error))
    raise ConfigError(f"{document.name} is wrong:", problems=problems)


def _problems(document: Document, model: type[BaseModel], error: ValidationError) -> Iterator[str]:
    # The branches of a union complain one by one where a person wants one line, so equal places share a list.
    expected: dict[tuple[Place, str], list[str]] = {}
    for item in error.errors(include_url=False, include_input=False):
        place, value, missing = _locate(document.data, item["loc"])
        if item["type"] == "missing":
            yield document.problem(place, f"expected the key {missing!r}, found nothing")
        elif item["type"] == "extra_forbidden":
            yield document.problem(place, f"expected {_known_keys(model, place)}, found the unknown key {place[-1]!r}")
        elif item["type"] == "value_error":
            yield document.problem(place, _sentence(item["msg"], value))
        else:
            shown = f"the key {place[-1]!r}" if "[key]" in item["loc"] else found(value)
            expected.setdefault((place, shown), []).append(_expected(item))
    for (place, shown), texts in expected.items():
        yield document.problem(place, f"expected {' or '.join(dict.fromkeys(texts))}, found {shown}")


def _expected(item: Any) -> str:
    context = {key: str(value) for key, value in (item.get("ctx") or {}).items()}
    template = _EXPECTED.get(item["type"])
    return template.format_map(context) if template else str(item["msg"])


def _sentence(message: str, value: object) -> str:
    """The message of one of our own validators, with the value where it does not show it and it is short."""
    text = message.removeprefix("Value error, ")
    complete = "found " in text or isinstance(value, dict | list)
    return text if complete else f"{text}, found {found(value)}"


def _locate(data: object, loc: tuple[int | str, ...]) -> tuple[Place, object, str]:
    """The place in the file an error is about, its value, and the last part that the file does not have.

    Pydantic's locations also name union branches; those are no part of the file and are left out.
    """
    place: list[str | int] = []
    value: Any = data
    missing = ""
    for part in loc:
        if _has(value, part):
            value = value[part]
            place.append(part)
        else:
            missing = str(part)
    return tuple(place), value, missing


def _has(value: object, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _known_keys(model: type[BaseModel], place: Place) -> str:
    from rapidfuzz import fuzz, process  # only a wrong file needs it

    known = sorted({key for found_model in _models_at(model, place[:-1]) for key in _keys(found_model)})
    nearest = process.extractOne(str(place[-1]), known, scorer=fuzz.ratio, score_cutoff=60)
    text = f"one of {', '.join(known)}"
    return f"{nearest[0]!r} ({text})" if nearest else text


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_at(model: type[BaseModel], place: Place) -> list[type[BaseModel]]:
    """The models a place may hold: several for a union."""
    models: list[type[BaseModel]] = [model]
    kinds: list[Any] = [model]
    for part in place:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models


def _inside(kind: Any, part: str | int) -> list[Any]:
    """The types found below ``part`` in a value of type ``kind``, unions taken apart."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part in (field.alias, name):
                return _members(field.annotation)
        return []
    arguments = get_args(kind)
    return _members(arguments[-1]) if arguments and get_origin(kind) in (list, dict, tuple) else []


def _members(kind: Any) -> list[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        return _members(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [member for argument in get_args(kind) for member in _members(argument)]
    return [kind]
