"""Writes the reference pages and editor schemas: ``python -m etl.config.generate``; ``--check`` only says what is stale.

Exit code 0 when everything is as the code says, 1 when ``--check`` found a stale file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name

from etl.config.pages.dictionary import data_dictionary
from etl.config.pages.mapping import mapping_reference
from etl.config.pages.runbook import endings_part, errors_part, findings_part, rejects_part
from etl.config.pages.settings import settings_reference
from etl.config.schema import MODELS, json_schema
from etl.config.settings import PROJECT
from etl.errors import ConfigError

# Named, not imported: configuration stands below the adapters and must load without them.
DATABASES = {
    "Tables of the ERP database": "etl.erp.schema:metadata",
    "Views of the ERP database": "etl.erp.standing:views",
    "Tables of the run ledger": "etl.store.ledger_schema:metadata",
}
RUNBOOK = "docs/runbook.md"
RUNBOOK_PARTS: Mapping[str, Callable[[], str]] = {"errors": errors_part, "endings": endings_part, "findings": findings_part, "rejects": rejects_part}


def generated(project: Path) -> dict[str, str]:
    """File name below the project -> what it must hold; the runbook keeps what people wrote around its parts."""
    tables = {title: resolve_name(name) for title, name in DATABASES.items()}
    pages = {
        "docs/mapping-reference.md": mapping_reference(),
        "docs/settings.md": settings_reference(),
        "docs/data-dictionary.md": data_dictionary(tables),
        RUNBOOK: runbook((project / RUNBOOK).read_text(encoding="utf-8")),
    }
    schemas = {f"mappings/schema/{name}.json": json.dumps(json_schema(model), ensure_ascii=False, indent=2) + "\n" for name, (model, _) in MODELS.items()}
    return pages | schemas


def runbook(text: str) -> str:
    """The runbook with its generated parts brought up to date.

    Raises:
        ConfigError: a part's begin or end mark is missing.
    """
    for name, part in RUNBOOK_PARTS.items():
        begin, end = f"<!-- begin generated: {name} -->", f"<!-- end generated: {name} -->"
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not found_begin or not found_end:
            raise ConfigError(f"{RUNBOOK}: expected the marks {begin!r} and {end!r}; put them where the part belongs")
        text = f"{before}{begin}\n\n{part()}\n\n{end}{after}"
    return text


def stale(project: Path) -> dict[str, str]:
    """The files that are missing or differ from what the code says, with the text they should have."""
    return {name: text for name, text in generated(project).items() if not (project / name).exists() or (project / name).read_text(encoding="utf-8") != text}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of the command line above."""
    parser = argparse.ArgumentParser(prog="python -m etl.config.generate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is stale")
    options = parser.parse_args(arguments)
    outdated = stale(PROJECT)
    for name, text in outdated.items():
        if options.check:
            sys.stderr.write(f"{name}: stale; run python -m etl.config.generate\n")
            continue
        (PROJECT / name).parent.mkdir(parents=True, exist_ok=True)
        (PROJECT / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}: written\n")
    return 1 if options.check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
