"""Slim frames against the Great Expectations suites become failing entries, findings and one result per rule.

The only file that imports Great Expectations, and only when there is something to check: the import alone costs seconds.
It fails closed. A missing suite, a weakened rule, an exception inside GX, rows GX did not look at: each stops the run,
because a validator that looked at nothing reports the same success as one that found nothing.
"""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from etl.config.suites import REQUIRED, Rule, Suites, owner_name, require_complete
from etl.errors import ValidatorFailed
from etl.frames import FINDINGS, REJECTS, day_number
from etl.rejects import CATALOGUE
from etl.steps.validation_frames import slim_totals

CLAIMS, LINES, TOTALS = REQUIRED
_ROW = "row_no"
# Values stay out of the result (they would be cut at 200 and may be personal); keys do not, and are never cut.
_RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": [_ROW],
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}


@dataclass(frozen=True)
class RuleResult:
    """One rule of one suite: the columns of ``run_validation``.

    ``failing_keys`` is a JSON list of every failing business key (claim, kind, part; company, currency, kind).
    """

    suite: str
    rule: str
    column: str
    severity: str
    reject_code: str
    evaluated: int
    failed: int
    success: bool
    failing_keys: str

    def as_row(self) -> dict[str, Any]:
        """The result as a ledger row."""
        return asdict(self)


@dataclass(frozen=True)
class ValidationOutcome:
    """What the suites said.

    ``failing``: one row per (entry, critical rule it fails), in the order of the suites; columns entry_no, suite, rule,
    reject_code, disposition, owner (Chinese name), reason; the first of an entry decides. ``findings``: :data:`etl.frames.FINDINGS` of rules that only warn.
    """

    failing: pd.DataFrame
    findings: pd.DataFrame
    results: list[RuleResult]
    expectations_sha256: str


def validate(frames: Mapping[str, pd.DataFrame], suites: Suites, *, latest_day: date) -> ValidationOutcome:
    """Every failing entry by rule; each suite runs once.

    Args:
        frames: ``staged_claims`` (joined :func:`etl.steps.validation_frames.slim_entries`) and ``voucher_lines``
            (joined :func:`etl.steps.validation_frames.slim_lines`) of the whole run. The batch totals are added up here,
            over the entries that passed the other two suites, so that one bad voucher does not take its company along.
        suites: see :func:`etl.config.suites.load_suites`.
        latest_day: day of the run in Asia/Shanghai; no event may lie after it.

    Raises:
        ValidatorFailed: the suites are incomplete, the frames do not belong together, or GX did not do its work.
    """
    require_complete(suites)
    claims, lines = _checked(frames)
    parameters = {"latest_day": day_number(latest_day)}
    checks = _checks(suites, CLAIMS, frame=claims, parameters=parameters)
    checks += _checks(suites, LINES, frame=lines, parameters=parameters)
    rejected = [check.frame["entry_no"].to_numpy()[check.rows] for check in checks if check.rule.severity == "critical"]
    passed = claims.loc[~claims["entry_no"].isin(np.concatenate(rejected))]
    totals = slim_totals(passed, lines)
    checks += _checks(suites, TOTALS, frame=totals, parameters=parameters)
    named = [_Named.of(check, claims, passed) for check in checks]
    return ValidationOutcome(_failing(named), _findings(named, claims), [item.result for item in named], suites.sha256)


def validation_rejects(failing: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """The failing entries of one chunk as :data:`etl.frames.REJECTS`, one row per claim and kind.

    The first rule in suite order decides code and owner; the reason names every rule. The amount is that of all failing
    parts.

    Args:
        failing: :attr:`ValidationOutcome.failing`.
        entries: one chunk, as :data:`etl.frames.ENTRIES`.
    """
    refused = entries["entry_no"].isin(failing["entry_no"])
    if not refused.any():
        return REJECTS.empty()
    ours = failing.merge(entries[refused].drop(columns="disposition"), on="entry_no", how="inner", validate="many_to_one")
    key = ["claim_id", "entry_kind"]
    first = ours.drop_duplicates(key).set_index(key)
    reasons = ours.drop_duplicates([*key, "reason"]).groupby(key)["reason"].agg("; ".join)
    amounts = ours.drop_duplicates("entry_no").groupby(key)["amount_minor"].sum()
    rows = first.assign(
        step="validate",
        rule=first["reject_code"],
        reason=reasons,
        amount_minor=amounts,
    ).reset_index()
    return REJECTS.frame({name: rows[name].array for name in REJECTS.columns})


@dataclass(frozen=True)
class _Check:
    """One rule run over one frame: positions of the rows that failed."""

    rule: Rule
    frame: pd.DataFrame
    rows: Sequence[int]


@dataclass(frozen=True)
class _Named:
    """A check whose failing rows have become entries and business keys."""

    rule: Rule
    entry_nos: pd.Series
    result: RuleResult

    @classmethod
    def of(cls, check: _Check, claims: pd.DataFrame, passed: pd.DataFrame) -> _Named:
        rule, failed = check.rule, check.frame.iloc[list(check.rows)]
        if rule.suite == TOTALS:
            group = ["company_code", "currency", "entry_kind"]
            entry_nos = passed.merge(failed[group], on=group, how="inner")["entry_no"]
            keys = [" ".join(map(str, key)) for key in failed[group].itertuples(index=False)]
        else:
            entry_nos = failed["entry_no"].drop_duplicates().sort_values()
            entries = claims.loc[claims["entry_no"].isin(entry_nos), ["claim_code", "entry_kind", "part_no"]]
            keys = [f"{code} {kind} {part}" for code, kind, part in entries.itertuples(index=False)]
        return cls(
            rule,
            entry_nos,
            RuleResult(
                suite=rule.suite,
                rule=rule.rule,
                column=", ".join(rule.columns),
                severity=rule.severity,
                reject_code=rule.reject_code,
                evaluated=len(check.frame),
                failed=len(failed),
                success=failed.empty,
                failing_keys=json.dumps(keys, ensure_ascii=False),
            ),
        )


def _checked(frames: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both frames, once they are known to describe the same entries."""
    absent = [name for name in (CLAIMS, LINES) if name not in frames]
    if absent:
        raise ValidatorFailed(f"validate: expected the frames {CLAIMS} and {LINES}, found no {' and no '.join(absent)}")
    claims, lines = (frames[name].reset_index(drop=True) for name in (CLAIMS, LINES))
    repeated = claims.loc[claims["entry_no"].duplicated(), "entry_no"]
    if len(repeated):
        raise ValidatorFailed(f"validate: expected each entry_no once, found {int(repeated.iloc[0])} twice; run again")
    strangers = lines.loc[~lines["entry_no"].isin(claims["entry_no"]), "entry_no"]
    if len(strangers):
        raise ValidatorFailed(
            f"validate: expected voucher lines of ready entries only, found lines of entry {int(strangers.iloc[0])}; "
            "nothing was posted, run again and report this if it stays"
        )
    return claims, lines


def _checks(suites: Suites, name: str, *, frame: pd.DataFrame, parameters: Mapping[str, int]) -> list[_Check]:
    """One suite over one frame. Nothing can fail where there is no row, so GX is not even imported then."""
    rules = suites.rules[name]
    if frame.empty:
        return [_Check(rule, frame, ()) for rule in rules]
    read = dict.fromkeys(column for rule in rules for column in rule.columns)
    unknown = [column for column in read if column not in frame]
    if unknown:
        raise ValidatorFailed(f"{name}.json reads {', '.join(unknown)}; the frame has {', '.join(map(str, frame.columns))}. Correct the expectation")
    slim = frame[list(read)].assign(**{_ROW: np.arange(len(frame))})
    try:
        results = _run_gx(name, rules, frame=slim, parameters=parameters)
        failed = [_failed_rows(rule, result, len(frame)) for rule, result in zip(rules, results, strict=True)]
    except ValidatorFailed:
        raise
    except Exception as error:  # whatever GX raises, an unchecked batch must not be posted
        raise ValidatorFailed(
            f"{name}: Great Expectations stopped with {type(error).__name__}: {error}. Nothing was posted; correct the "
            f"expectation or the installation and run again"
        ) from error
    return [_Check(rule, frame, rows) for rule, rows in zip(rules, failed, strict=True)]


@cache
def _great_expectations() -> Any:
    """GX, imported when first needed: that takes seconds.

    Its million objects are there to stay. Without the freeze every later step would begin by walking them (measured: 0.14 s each).
    """
    import great_expectations as gx
    import great_expectations.data_context.types.base

    gc.freeze()
    return gx


def _run_gx(name: str, rules: Sequence[Rule], *, frame: pd.DataFrame, parameters: Mapping[str, int]) -> list[Any]:
    """GX's results in the order of the rules."""
    with warnings.catch_warnings():
        # GX and what it imports warn about their own future; nobody here can act on that.
        warnings.simplefilter("ignore", DeprecationWarning)
        gx = _great_expectations()
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False, metric_calculations=False)
        suite = gx.ExpectationSuite(
            name=name,
            expectations=[{"type": r.type, "kwargs": dict(r.kwargs), "severity": r.severity, "meta": {"rule": r.rule}} for r in rules],
        )
        # GX logs and drops an expectation it cannot build; the count is how we notice.
        if len(suite.expectations) != len(rules):
            raise ValidatorFailed(f"{name}: expected {len(rules)} rules, GX accepted {len(suite.expectations)} of them")
        asset = context.data_sources.add_pandas("run").add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
        outcome = batch.validate(suite, result_format=_RESULT_FORMAT, expectation_parameters=dict(parameters))
    configured = [(result.expectation_config, result) for result in outcome.results]
    by_rule = {config.meta["rule"]: result for config, result in configured if config and config.meta}
    return [by_rule[rule.rule] for rule in rules]


def _failed_rows(rule: Rule, result: Any, rows: int) -> list[int]:
    """Positions of the failing rows of one GX result, all of them."""
    where = f"{rule.suite}.{rule.rule}"
    if result.exception_info.get("raised_exception") is not False:
        raise ValidatorFailed(f"{where}: Great Expectations stopped with {_message(result.exception_info)}")
    evaluated = result.result["element_count"] - result.result.get("missing_count", 0)
    if evaluated != rows:
        raise ValidatorFailed(f"{where}: expected all {rows} rows to be checked, GX checked {evaluated}")
    failed = [int(row) for part in result.result["unexpected_index_list"] for row in part[_ROW]]
    if len(failed) != result.result["unexpected_count"] or result.success != (not failed):
        raise ValidatorFailed(f"{where}: GX counts {result.result['unexpected_count']} failing rows but names {len(failed)}")
    return failed


def _message(info: Mapping[str, Any]) -> str:
    """The message of a GX exception; GX nests them by metric when one stopped."""
    messages = [info["exception_message"]] if info.get("exception_message") else []
    messages += [part["exception_message"] for part in info.values() if isinstance(part, dict)]
    return "; ".join(dict.fromkeys(map(str, messages))) or "an exception without a message"


def _failing(named: Sequence[_Named]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "entry_no": item.entry_nos.to_numpy(np.int64),
                "suite": item.rule.suite,
                "rule": item.rule.rule,
                "reject_code": item.rule.reject_code,
                "disposition": CATALOGUE[item.rule.reject_code].disposition,
                "owner": owner_name(item.rule),
                "reason": item.rule.reason,
            }
        )
        for item in named
        if item.rule.severity == "critical"
    ]
    text = dict.fromkeys(("suite", "rule", "reject_code", "disposition", "owner", "reason"), "str")
    return pd.concat(parts, ignore_index=True).astype({"entry_no": "int64", **text})


def _findings(named: Sequence[_Named], claims: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([FINDINGS.empty(), *_warnings(named, claims)], ignore_index=True)


def _warnings(named: Sequence[_Named], claims: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for item in named:
        if item.rule.severity == "warning" and len(item.entry_nos):
            rows = claims.loc[claims["entry_no"].isin(item.entry_nos)]
            yield FINDINGS.frame(
                {
                    "claim_id": rows["claim_id"].array,
                    "claim_code": rows["claim_code"].array,
                    "rule": [item.rule.rule] * len(rows),
                    "detail": [item.rule.reason] * len(rows),
                    "amount_minor": rows["source_minor"].to_numpy(),
                    "currency": rows["currency"].astype("str").array,
                }
            )
