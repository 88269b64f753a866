"""``hesi-erp check-config``: every mistake at once; Hesi and the databases are not asked."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from etl.cli import GREEN_OR_AMBER, WRONG_CONFIGURATION
from etl.cli_output import print_json, print_lines
from etl.commands.prepare import register_secrets
from etl.config.check import check_config
from etl.config.load import load_mappings
from etl.config.settings import Settings, load_settings
from etl.config.suites import load_suites
from etl.errors import ConfigError
from etl.redaction import redact

_FOLDERS = ("HESI_ERP_MAPPINGS", "HESI_ERP_EXPECTATIONS", "HESI_ERP_HOME")
_NEEDED_TO_RUN = ("app_key", "app_security", "erp_url")


def check_config_command(options: argparse.Namespace) -> int:
    """0 when a run may start, 2 with every mistake of settings, mappings, layouts and suites as ``file:line: expected, found``."""
    problems: list[str] = []
    try:
        settings = load_settings()
    except ConfigError as error:
        problems += error.problems or (str(error),)
        settings = _folders_only()
    register_secrets(settings)
    problems += check_config(settings)
    document: dict[str, object] = {
        "ok": not problems,
        "problems": [redact(problem) for problem in problems],
        "missing": _missing(settings) if not problems else [],
        "mappings": str(settings.mappings),
        "expectations": str(settings.expectations),
    }
    lines = _refused(document) if problems else _accepted(document, settings)
    if options.json:
        print_json(document)
    else:
        print_lines(lines)
    return WRONG_CONFIGURATION if problems else GREEN_OR_AMBER


def _folders_only() -> Settings:
    """Settings with nothing but the folders of the environment, so that one wrong variable does not hide wrong files."""
    given = {name: Path(os.environ[name]) for name in _FOLDERS if os.environ.get(name)}
    return Settings.model_construct(**{name: given.get(str(field.alias), field.default) for name, field in Settings.model_fields.items()})


def _missing(settings: Settings) -> list[str]:
    try:
        settings.require(*_NEEDED_TO_RUN)
    except ConfigError as error:
        return list(error.problems)
    return []


def _refused(document: dict[str, object]) -> list[str]:
    problems = document["problems"]
    found = [str(problem) for problem in problems] if isinstance(problems, list) else []
    return [*found, f"{len(found)} mistake{'s' if len(found) != 1 else ''}; docs/mapping-reference.md and docs/settings.md show the expected forms"]


def _accepted(document: dict[str, object], settings: Settings) -> list[str]:
    mappings, suites = load_mappings(settings.mappings), load_suites(settings.expectations)
    document |= {
        "companies": [company.company.code for company in mappings.companies],
        "mapping_sha256": mappings.sha256,
        "expectations_sha256": suites.sha256,
    }
    rules = sum(len(suite) for suite in suites.rules.values())
    return [
        f"configuration is right: {len(mappings.companies)} companies, {len(mappings.charts)} charts, {rules} validation rules",
        f"mapping version     {mappings.sha256}",
        f"suites version      {suites.sha256}",
        *(f"before a run: {problem}" for problem in _missing(settings)),
    ]
