"""``hesi-erp audit``: check the log, make a key pair, or record who accepts a gap."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from etl.audit.anchor import AnchorFolder
from etl.audit.check import open_gaps
from etl.audit.keys import Signer, new_key_pair, public_key
from etl.cli import GREEN_OR_AMBER, RED
from etl.cli_output import print_json, print_lines
from etl.commands.prepare import prepared
from etl.config.settings import Settings
from etl.erp.database import DatabaseSink
from etl.errors import ConfigError
from etl.periods import local_day
from etl.pipeline.altered import recent_periods
from etl.pipeline.audit import open_log
from etl.pipeline.audit_check import AuditReport, check_audit


def audit_command(options: argparse.Namespace) -> int:
    """The act asked for; 1 only when a check finds something."""
    return {"check": _check, "acknowledge": _acknowledge, "new-key": _new_key}[options.act](options)


def _check(options: argparse.Namespace) -> int:
    """0 when log, database and anchors agree, 1 with every difference and its position."""
    with prepared(verbose=options.verbose) as settings:
        report = _checked(settings, keys=options.key, everything=options.all)
    if options.json:
        print_json(report)
    else:
        print_lines(_lines(report))
    return RED if report.problems else GREEN_OR_AMBER


def _acknowledge(options: argparse.Namespace) -> int:
    """Records in the log that a named person knows of its gaps; they are notes from then on."""
    if not options.reason.strip() or not options.by.strip():
        raise ConfigError("expected a name with --by and a reason with --reason; both stay in the log for ever")
    with prepared(verbose=options.verbose) as settings:
        log = open_log(settings)
        gaps = list(open_gaps(log.entries()))
        if gaps:
            told = {"kind": "gap_acknowledged", "by": options.by, "os_user": getpass.getuser(), "reason": options.reason}
            log.append("", [told | {"gap_seq": gap.seq} for gap in gaps])
    document = {"acknowledged": [gap.seq for gap in gaps]}
    if options.json:
        print_json(document)
    else:
        print_lines([f"gap at seq {gap.seq} acknowledged by {options.by}" for gap in gaps] or ["the log has no gap to acknowledge"])
    return GREEN_OR_AMBER


def _new_key(options: argparse.Namespace) -> int:
    """A fresh key pair; nothing is stored."""
    private, public = new_key_pair()
    if options.json:
        print_json({"private": private, "public": public})
    else:
        print_lines([
            f"HESI_ERP_SIGNING_KEY={private}",
            f"public key           {public}",
            "Keep the first where secrets are kept. Give the second to whoever checks: a pack is only worth what that channel is worth.",
        ])  # fmt: skip
    return GREEN_OR_AMBER


def _checked(settings: Settings, *, keys: Sequence[str], everything: bool) -> AuditReport:
    settings.require("erp_url")
    signer = Signer.from_secret(settings.signing_key.get_secret_value())
    trusted = [public_key(text) for text in keys] or ([signer.public] if signer else [])
    periods = None if everything else recent_periods(local_day(int(datetime.now(UTC).timestamp() * 1000)))
    sink = DatabaseSink.open(settings.erp_url.get_secret_value())
    try:
        anchors = AnchorFolder(settings.anchor_dir) if settings.anchor_dir else None
        return check_audit(open_log(settings), sink.engine, anchors=anchors, keys=trusted, periods=periods)
    finally:
        sink.close()


def _lines(report: AuditReport) -> Iterator[str]:
    heads = f"{report.signed_heads} signed and {report.unsigned_heads} unsigned heads"
    yield f"log {report.log_id or '(none yet)'}: {report.entries} entries up to seq {report.last_seq}, {heads}"
    yield f"compared with {report.batches} posting batches and {report.anchors} anchors; vouchers hashed again: {report.vouchers_hashed_again}"
    yield from (f"note: {note}" for note in report.notes)
    yield from report.problems
    yield f"{len(report.problems)} PROBLEMS" if report.problems else "the log is whole, and database and anchors agree with it"
