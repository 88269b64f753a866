"""The Great Expectations suites as strict typed data, without importing Great Expectations.

``expectations/*.json`` holds one suite a file in the form GX itself uses: ``name`` and ``expectations`` of ``type``,
``kwargs``, ``severity`` and ``meta``. ``meta`` names the rule, its reject code, its owner and what it says in both
languages. Rules may be added and worded by the user; those of :data:`REQUIRED` may not be taken away or weakened,
because a posting nobody checked looks exactly like one that passed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etl.errors import ConfigError, ValidatorFailed
from etl.rejects import CATALOGUE, OWNER_NAMES, Owner

Severity = Literal["critical", "warning"]
# Row-level expectations only: the others fail without saying which rows, so nothing could be rejected by name.
ROW_TYPES = frozenset(
    {
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_be_unique",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_in_set",
        "expect_multicolumn_sum_to_equal",
        "expect_compound_columns_to_be_unique",
    }
)
# Arguments that let a rule pass over rows; `batch_id` and the like belong to GX.
_NARROWING = frozenset({"mostly", "row_condition", "condition_parser", "ignore_row_if", "result_format", "batch_id"})
PARAMETERS = frozenset({"latest_day"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Meta(_Strict):
    rule: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    reject_code: str
    owner: Owner
    says_en: str = Field(min_length=1)
    says_zh: str = Field(min_length=1)


class _Expectation(_Strict):
    type: str
    kwargs: dict[str, Any]
    severity: Severity
    meta: _Meta


class _SuiteFile(_Strict):
    name: str
    notes: str = ""
    expectations: list[_Expectation]


@dataclass(frozen=True)
class Rule:
    """One expectation: what GX is told (``type``, ``kwargs``) and what a failure means."""

    suite: str
    rule: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    reject_code: str
    owner: Owner
    says_en: str
    says_zh: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the slim frame the rule reads."""
        named = [self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs]
        return (*named, *self.kwargs.get("column_list", ()))

    @property
    def reason(self) -> str:
        """The rule and what it says, in both languages: the reason of a reject."""
        return f"{self.rule}: {self.says_zh} {self.says_en}"


@dataclass(frozen=True)
class Suites:
    """The suites of a folder; ``sha256`` is the version of the rules in force."""

    rules: Mapping[str, tuple[Rule, ...]]
    files: Mapping[str, str]
    sha256: str


@dataclass(frozen=True)
class Required:
    """What a rule must still check, whatever else its file says."""

    type: str
    kwargs: Mapping[str, Any]


def _equal(left: str, right: str) -> Required:
    return Required("expect_column_pair_values_to_be_equal", {"column_A": left, "column_B": right})


def _flag(column: str) -> Required:
    return Required("expect_column_values_to_be_in_set", {"column": column, "value_set": [1]})


# Suite -> rule -> what it must check. These are critical; their wording, code and owner are the user's.
REQUIRED: Mapping[str, Mapping[str, Required]] = {
    "staged_claims": {
        "entry_is_unique": Required("expect_column_values_to_be_unique", {"column": "entry_key"}),
        "event_day_is_plausible": Required(
            "expect_column_values_to_be_between",
            {"column": "event_day", "min_value": 10957, "max_value": {"$PARAMETER": "latest_day"}},
        ),
        "voucher_equals_claim": _equal("source_minor", "voucher_minor"),
        "voucher_balances": _equal("debit_minor", "credit_minor"),
        "voucher_day_in_period": _equal("voucher_month", "fiscal_month"),
        "voucher_has_lines": Required("expect_column_values_to_be_between", {"column": "line_count", "min_value": 2}),
    },
    "voucher_lines": {
        "one_side_only": _flag("side_count"),
        "account_is_open": _flag("account_open"),
        "dimensions_are_complete": _flag("dimensions_complete"),
        "summary_fits": _flag("summary_fits"),
        "tax_rate_on_vat_only": _flag("tax_fits"),
        "currency_fits_rate": _flag("currency_fits"),
    },
    "batch_totals": {
        "totals_balance": _equal("debit_minor", "credit_minor"),
        "totals_equal_source": _equal("source_minor", "voucher_minor"),
        "every_voucher_has_its_lines": _equal("lines_expected", "lines_found"),
    },
}


def load_suites(folder: Path) -> Suites:
    """The suites of a folder, proved complete; files are named after their suite.

    Raises:
        ConfigError: ``problems`` lists every mistake as ``file: place: expected ..., found ...``.
        ValidatorFailed: a required suite or rule is missing or weaker than this program needs.
    """
    rules: dict[str, tuple[Rule, ...]] = {}
    files: dict[str, str] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.json")):
        content = path.read_bytes()
        files[path.name] = hashlib.sha256(content).hexdigest()
        try:
            suite = _read(path.name, content)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        found, wrong = _rules(path.name, suite)
        problems.extend(wrong)
        rules[suite.name] = found
    if problems:
        raise ConfigError(f"The expectations in {folder.name} are wrong:", problems=tuple(problems))
    text = "".join(f"{name} {digest}\n" for name, digest in sorted(files.items()))
    suites = Suites(rules, files, hashlib.sha256(text.encode()).hexdigest())
    require_complete(suites)
    return suites


def require_complete(suites: Suites) -> None:
    """Refuse suites that no longer check what :data:`REQUIRED` names.

    Raises:
        ValidatorFailed: names every missing suite, missing rule and weakened rule.
    """
    missing: list[str] = []
    for suite, required in REQUIRED.items():
        if suite not in suites.rules:
            missing.append(f"suite {suite} is missing (file {suite}.json)")
            continue
        present = {rule.rule: rule for rule in suites.rules[suite]}
        for name, needed in required.items():
            rule = present.get(name)
            if rule is None:
                missing.append(f"{suite}.json: rule {name} is missing")
            elif rule.severity != "critical":
                missing.append(f"{suite}.json: rule {name}: expected severity critical, found {rule.severity}")
            elif (rule.type, dict(rule.kwargs)) != (needed.type, dict(needed.kwargs)):
                missing.append(
                    f"{suite}.json: rule {name}: expected {needed.type} {json.dumps(needed.kwargs)}, found {rule.type} {json.dumps(dict(rule.kwargs))}"
                )
    if missing:
        raise ValidatorFailed(
            "Nothing was posted, because the expectations no longer check all they must; restore them from the release: " + "; ".join(missing)
        )


def _read(name: str, content: bytes) -> _SuiteFile:
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise _wrong(f"{name}: byte {error.start}: expected UTF-8") from None
    except json.JSONDecodeError as error:
        raise _wrong(f"{name}:{error.lineno}: expected JSON, found {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise _wrong(f"{name}: expected JSON nested a few levels deep, found far more") from None
    except ValueError as error:
        raise _wrong(f"{name}: {error}") from None
    try:
        return _SuiteFile.model_validate(document)
    except ValidationError as error:
        items = error.errors(include_url=False, include_input=False)
        raise _wrong(*(f"{name}: {_place(item['loc'])}: {item['msg']}" for item in items)) from None


def _wrong(*problems: str) -> ConfigError:
    return ConfigError("An expectation file is wrong:", problems=problems)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise ValueError(f"expected each key once, found {', '.join(repeated)} repeated in one object")
    return dict(pairs)


def _place(loc: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".") or "file"


def _rules(file: str, suite: _SuiteFile) -> tuple[tuple[Rule, ...], list[str]]:
    problems = [] if f"{suite.name}.json" == file else [f"{file}: name: expected {file[:-5]}, found {suite.name}"]
    if suite.name not in REQUIRED:
        problems.append(f"{file}: name: expected one of {', '.join(REQUIRED)}, found {suite.name}")
    rules: list[Rule] = []
    for i, item in enumerate(suite.expectations):
        place = f"{file}: expectations[{i}] ({item.meta.rule})"
        problems += [f"{place}.{problem}" for problem in _mistakes(item)]
        if item.meta.rule in {rule.rule for rule in rules}:
            problems.append(f"{place}.meta.rule: expected each rule once, found it twice")
        rules.append(Rule(suite.name, type=item.type, kwargs=item.kwargs, severity=item.severity, **dict(item.meta)))
    return tuple(rules), problems


def _mistakes(item: _Expectation) -> Iterator[str]:
    if item.type not in ROW_TYPES:
        yield f"type: expected one of {', '.join(sorted(ROW_TYPES))}, found {item.type}"
    if item.meta.reject_code not in CATALOGUE:
        yield f"meta.reject_code: expected a code of docs/runbook.md, found {item.meta.reject_code}"
    for key in sorted(_NARROWING & item.kwargs.keys()):
        yield f"kwargs.{key}: expected a rule over every row, found one that passes over some"
    for key, value in item.kwargs.items():
        if isinstance(value, dict) and value.get("$PARAMETER") not in PARAMETERS:
            yield f"kwargs.{key}: expected a parameter of {', '.join(sorted(PARAMETERS))}, found {value}"


def owner_name(rule: Rule) -> str:
    """Owner of a rule as rejects store it, e.g. 总账."""
    return OWNER_NAMES[rule.owner][0]
