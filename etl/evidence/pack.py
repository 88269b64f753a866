"""Builds the pack of one company and month: the same databases, files and seed give the same bytes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etl import __version__
from etl.audit.anchor import AnchorFolder
from etl.audit.keys import Signer
from etl.evidence.container import Member, write_container
from etl.evidence.contents.audit_log import write_audit_log
from etl.evidence.contents.completeness import write_completeness
from etl.evidence.contents.controls import Control, Facts, write_controls
from etl.evidence.contents.extraction import write_extraction
from etl.evidence.contents.incidents import write_incidents
from etl.evidence.contents.people import write_people
from etl.evidence.contents.population import write_population
from etl.evidence.contents.retention import write_retention
from etl.evidence.contents.rules import write_rules
from etl.evidence.contents.validation import write_validation
from etl.evidence.index import index_page
from etl.evidence.samples import write_samples
from etl.evidence.scope import Scope
from etl.evidence.tables import PackFiles

FORMAT = "hesi-erp evidence 1"
VERIFIER = Path(__file__).with_name("verify.py")
_SIGNED = b"hesi-erp evidence manifest 1\n"


@dataclass(frozen=True)
class Pack:
    """A pack that was written; ``attention`` are the controls somebody has to explain."""

    path: Path
    company: str
    period: str
    vouchers: int
    lines: int
    key: str
    sha256_verifier: str
    attention: tuple[str, ...]


def build_pack(scope: Scope, *, out: Path, seed: int, signer: Signer | None, anchors: AnchorFolder | None) -> Pack:
    """Writes ``evidence-YYYY-MM-COMPANY.zip`` into ``out``; an older one of that name is replaced.

    Raises:
        PackTooLarge: more than a plain zip can hold.
        AuditLogAltered: the log cannot be read; ``hesi-erp audit check`` says where.
    """
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=out, prefix=".evidence-") as folder:
        pack = PackFiles(Path(folder))
        facts, samples = _contents(pack, scope, seed, anchors)
        controls = write_controls(pack, scope, facts)
        pack.file("verify.py", VERIFIER.read_bytes())
        write_retention(pack)
        manifest = _manifest(scope, facts, controls, samples, seed=seed, key=signer.key_id if signer else "")
        described = [pack.written[name] for name in sorted(pack.written)]
        for language in ("zh", "en"):
            pack.file(f"index.{language}.html", index_page(manifest, controls, described, language))
        manifest["files"] = [asdict(pack.written[name]) for name in sorted(pack.written)]
        content = (json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
        pack.file("manifest.json", content)
        pack.file("manifest.sig", f"{signer.sign(_SIGNED + content) if signer else 'unsigned'}\n".encode())
        target = out / f"evidence-{scope.period}-{_safe(scope.company)}.zip"
        write_container(target, [Member(name, pack.place(name)) for name in pack.written])
    attention = tuple(f"{control.id} {control.en}: {control.result}" for control in controls if control.attention)
    key = signer.key_id if signer else ""
    return Pack(
        target, scope.company, str(scope.period), facts.population["vouchers"], facts.population["lines"], key, pack.written["verify.py"].sha256, attention
    )


def _contents(pack: PackFiles, scope: Scope, seed: int, anchors: AnchorFolder | None) -> tuple[Facts, dict[str, int]]:
    facts = Facts(
        population=write_population(pack, scope),
        completeness=write_completeness(pack, scope),
        pages=write_extraction(pack, scope),
        rules=write_rules(pack, scope),
        validation=write_validation(pack, scope),
        people=write_people(pack, scope),
        incidents=write_incidents(pack, scope),
        log=write_audit_log(pack, scope, anchors),
    )
    return facts, write_samples(pack, scope, seed)


def _manifest(scope: Scope, facts: Facts, controls: Sequence[Control], samples: dict[str, int], *, seed: int, key: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "package_version": __version__,
        "company": scope.company,
        "period": str(scope.period),
        "seed": seed,
        "key": key,
        "population": facts.population,
        "completeness": facts.completeness,
        "samples": samples,
        "log": asdict(facts.log),
        "controls": [{"id": item.id, "result": item.result, "attention": item.attention} for item in controls],
    }


def _safe(name: str) -> str:
    """A company code as part of a file name."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
