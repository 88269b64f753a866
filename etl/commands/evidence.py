"""``hesi-erp evidence``: the packs of a month, or the list of what may be destroyed; nothing is posted or deleted."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from sqlalchemy.engine import Engine

from etl.audit.anchor import AnchorFolder
from etl.audit.keys import Signer
from etl.cli import GREEN_OR_AMBER
from etl.cli_output import print_json, print_lines, table
from etl.commands.prepare import prepared
from etl.config.load import load_mappings
from etl.config.settings import Settings, split_keys
from etl.erp.database import DatabaseSink
from etl.errors import ConfigError
from etl.evidence.contents.retention import Expired, expired
from etl.evidence.pack import Pack, build_pack
from etl.evidence.scope import Scope, companies_of, open_scope
from etl.periods import FiscalPeriod
from etl.pipeline.audit import open_log
from etl.store.ledger import Ledger
from etl.store.raw import RawStore

_SIGN_OFF = "会计主管 finance ____________   档案 archives ____________   IT ____________   日期 date ____________"


def evidence_command(options: argparse.Namespace) -> int:
    """0 with the path of each pack, or with the destruction list."""
    if options.action == "destruction-list":
        return _destruction_list(options)
    with prepared(verbose=options.verbose) as settings:
        packs = list(_packs(settings, options))
    if options.json:
        print_json({"packs": packs})
    else:
        print_lines(line for pack in packs for line in _lines(pack))
    return GREEN_OR_AMBER


def _packs(settings: Settings, options: argparse.Namespace) -> Iterator[Pack]:
    settings.require("erp_url")
    period = _period(options.period)
    signer = Signer.from_secret(settings.signing_key.get_secret_value())
    anchors = AnchorFolder(settings.anchor_dir) if settings.anchor_dir else None
    log = open_log(settings)
    payables = [company.payables for company in load_mappings(settings.mappings).companies]
    parties = sorted({name for item in payables for name in (item.employee_dimension, item.supplier_dimension)})
    raw = RawStore(settings.home, keys=split_keys(settings.raw_keys))
    sink = DatabaseSink.open(settings.erp_url.get_secret_value())
    try:
        with Ledger.open(settings.ledger_url.get_secret_value()) as ledger:
            for company in _companies(sink.engine, period, options.company):
                scope = Scope(company, period, sink.engine, ledger.engine, settings.home, log, raw, parties)
                yield build_pack(open_scope(scope), out=options.out or settings.home / "evidence", seed=options.seed, signer=signer, anchors=anchors)
    finally:
        sink.close()


def _period(text: str | None) -> FiscalPeriod:
    try:
        return FiscalPeriod.parse(text or "")
    except ValueError:
        raise ConfigError(f"--period: expected a month like 2026-10, found {text!r}") from None


def _companies(erp: Engine, period: FiscalPeriod, wanted: str | None) -> list[str]:
    found = companies_of(erp, period)
    if not found or (wanted and wanted not in found):
        raise ConfigError(f"--period {period}: expected a month with vouchers or claims{f' of {wanted}' if wanted else ''}, found {', '.join(found) or 'none'}")
    return [wanted] if wanted else found


def _lines(pack: Pack) -> Iterator[str]:
    yield f"evidence {pack.path}"
    signed = f"signed by key {pack.key}" if pack.key else "NOT SIGNED: HESI_ERP_SIGNING_KEY is not set, so the pack proves no author"
    yield f"  {pack.company} {pack.period}: {pack.vouchers} vouchers, {pack.lines} lines, {signed}"
    yield from (f"  to be explained: {text}" for text in pack.attention)
    trust = "--key PUBLIC_KEY" if pack.key else "--unsigned"
    yield f"  verify elsewhere: python3 -I verify.py {pack.path.name} {trust}   (verify.py SHA-256 {pack.sha256_verifier})"


def _destruction_list(options: argparse.Namespace) -> int:
    try:
        before = date.fromisoformat(options.before or "")
    except ValueError:
        raise ConfigError(f"--before: expected a day like 2037-01-01, found {options.before!r}") from None
    with prepared(verbose=options.verbose) as settings:
        found = list(expired(settings.home, before))
    if options.json:
        print_json({"before": before, "expired": found, "deleted": 0})
    else:
        print_lines(_list_lines(settings.home, before, found))
    return GREEN_OR_AMBER


def _list_lines(home: Path, before: date, found: list[Expired]) -> Iterator[str]:
    yield f"kept until before {before} in {home}: {len(found)}; nothing was deleted"
    if found:
        rows = [[item.retention, item.kept_until, item.path, item.files, item.bytes] for item in found]
        yield from table(["class", "kept until", "what", "files", "bytes"], rows, right=(3, 4), indent="  ")
        yield ""
        yield _SIGN_OFF
