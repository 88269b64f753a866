"""Every version of the rules is kept by its content, once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from etl.audit.canonical import sha256_hex
from etl.audit.configuration import ConfigurationStore, Version, settings_version
from etl.config.settings import load_settings
from etl.errors import RulesChanged

CONTENT = b"version: '1'\n"
VERSION = Version("mappings", "v1", {"companies/C01.yaml": sha256_hex(CONTENT)})


def test_a_version_is_kept_until_it_stands_in_the_log_and_then_not_again(tmp_path: Path) -> None:
    store = ConfigurationStore(tmp_path)
    assert store.keep(VERSION, lambda _: CONTENT)
    assert store.keep(VERSION, lambda _: CONTENT)
    store.know(VERSION)
    assert not store.keep(VERSION, lambda _: pytest.fail("read again"))
    assert store.content(sha256_hex(CONTENT)) == CONTENT


def test_a_file_that_changed_since_the_run_was_started_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesChanged, match=r"expected companies/C01\.yaml as it was when the run began"):
        ConfigurationStore(tmp_path).keep(VERSION, lambda _: b"version: '2'\n")


def test_a_kept_file_that_was_altered_is_not_given_out(tmp_path: Path) -> None:
    store = ConfigurationStore(tmp_path)
    store.keep(VERSION, lambda _: CONTENT)
    kept = tmp_path / "audit" / "files" / sha256_hex(CONTENT)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o400
    kept.chmod(0o600)
    kept.write_bytes(b"version: '3'\n")
    assert store.content(sha256_hex(CONTENT)) is None


@pytest.mark.parametrize("digest", ["../../../etc/passwd", "a" * 64, "", "A" * 64])
def test_only_a_hash_that_is_kept_names_a_file(tmp_path: Path, digest: str) -> None:
    assert ConfigurationStore(tmp_path).content(digest) is None


def test_the_settings_version_holds_no_secret() -> None:
    secrets = {
        "HESI_APP_KEY": "canary-app-key", "HESI_APP_SECURITY": "canary-app-security", "HESI_ERP_SIGNING_KEY": "11" * 32,
        "ERP_URL": "postgresql://erp:canary-password@db/erp", "HESI_ERP_LEDGER_URL": "postgresql://erp:canary-password@db/ledger",
    }  # fmt: skip
    settings = load_settings(**secrets)
    version, content = settings_version(settings.model_dump(exclude=set(settings.SECRET_FIELDS)))
    assert [name for name, value in settings if isinstance(value, SecretStr) and name not in settings.SECRET_FIELDS] == []
    assert b"canary" not in content
    assert b"11" * 32 not in content
    assert version.files == {"settings.json": sha256_hex(content)}
    assert b'"overlap_hours":"48"' in content
