"""Raw pages at rest: plain and private, or sealed with keys that can be replaced; the proof of a page never changes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from etl.config.settings import PROJECT, load_settings, split_keys
from etl.errors import ConfigError, RawPageAltered
from etl.store.raw import RawPage, RawStore

RUN, FILE = "20261014T180000000-3fa2", "1-expense-active-000000.json"
BODY = b'{"items":[{"id":"a","cellphone":"13812345678"}]}'
OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))


def page() -> RawPage:
    return RawPage(FILE, hashlib.sha256(BODY).hexdigest(), len(BODY), "expense", True, 1, "https://app.ekuaibao.com/x", 1, [0])


def stored(home: Path, *keys: str) -> RawStore:
    store = RawStore(home, keys=keys)
    assert store.write(RUN, FILE, BODY) == page().sha256
    store.write_index(RUN, [page()])
    return store


def files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "raw" / RUN).iterdir())


def content(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (home / "raw").rglob("*") if path.is_file())


def test_without_keys_a_page_is_plain_private_and_write_once(tmp_path: Path) -> None:
    store = stored(tmp_path)
    assert files(tmp_path) == [FILE, "pages.json"]
    assert (store.folder / RUN / FILE).read_bytes() == BODY
    assert oct((store.folder / RUN / FILE).stat().st_mode & 0o777) == "0o400"
    assert oct((store.folder / RUN).stat().st_mode & 0o777) == "0o700"


def test_without_keys_no_cipher_is_even_loaded() -> None:
    script = "import sys, pathlib\nfrom etl.store.raw import RawStore\nRawStore(pathlib.Path('x'))\nprint('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout.strip() == "False"


def test_with_a_key_nothing_of_the_page_is_readable_on_disk(tmp_path: Path) -> None:
    store = stored(tmp_path, NEW)
    assert files(tmp_path) == [f"{FILE}.enc", "pages.json"]
    assert b"13812345678" not in content(tmp_path)
    assert oct((store.folder / RUN / f"{FILE}.enc").stat().st_mode & 0o777) == "0o400"


def test_with_a_key_pages_read_as_if_they_were_plain(tmp_path: Path) -> None:
    store = stored(tmp_path, NEW)
    assert store.read(RUN, store.index(RUN)[0]) == BODY
    ref = f"{RUN}/{FILE}#0"
    assert [bytes(raw or b"") for _, raw in store.items([ref])] == [b'{"id":"a","cellphone":"13812345678"}']
    assert store.kept(RUN, FILE, page().sha256) == "kept"
    assert store.kept(RUN, FILE, "0" * 64) == "altered"
    assert store.kept(RUN, "2.json", page().sha256) == "missing"


def test_writing_the_same_page_again_is_nothing_and_another_one_is_refused(tmp_path: Path) -> None:
    store = stored(tmp_path, NEW)
    before = content(tmp_path)
    store.write(RUN, FILE, BODY)
    assert content(tmp_path) == before
    with pytest.raises(RawPageAltered, match="expected to write a new page"):
        store.write(RUN, FILE, b"other")


def test_a_new_first_key_seals_new_pages_while_old_ones_stay_readable(tmp_path: Path) -> None:
    stored(tmp_path, OLD)
    store = RawStore(tmp_path, keys=[NEW, OLD])
    store.write(RUN, "2.json", b"second")
    assert store.read(RUN, page()) == BODY
    sealed = (store.folder / RUN / "2.json.enc").read_bytes()
    assert Fernet(NEW).decrypt(sealed) == b"second"


def test_pages_stored_before_encryption_stay_readable(tmp_path: Path) -> None:
    stored(tmp_path)
    assert RawStore(tmp_path, keys=[NEW]).read(RUN, page()) == BODY


def test_resealing_puts_every_page_under_the_first_key_and_changes_no_hash(tmp_path: Path) -> None:
    stored(tmp_path, OLD)
    RawStore(tmp_path).write(RUN, "2.json", b"plain")
    assert len(list(RawStore(tmp_path, keys=[NEW, OLD]).reseal())) == 2
    assert files(tmp_path) == [f"{FILE}.enc", "2.json.enc", "pages.json"]
    only_new = RawStore(tmp_path, keys=[NEW])
    assert only_new.read(RUN, page()) == BODY
    assert only_new.kept(RUN, "2.json", hashlib.sha256(b"plain").hexdigest()) == "kept"
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "raw" / RUN).glob("*.enc")} == {"0o400"}


def test_resealing_stops_at_a_page_no_key_opens_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    stored(tmp_path, STRANGE)
    before = content(tmp_path)
    with pytest.raises(RawPageAltered, match="add the key it was written with"):
        list(RawStore(tmp_path, keys=[NEW]).reseal())
    assert content(tmp_path) == before


def test_resealing_without_a_key_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one Fernet key"):
        list(RawStore(tmp_path).reseal())


def test_without_any_key_an_encrypted_page_asks_for_one(tmp_path: Path) -> None:
    stored(tmp_path, NEW)
    with pytest.raises(ConfigError, match="HESI_ERP_RAW_KEYS"):
        RawStore(tmp_path).read(RUN, page())


@pytest.mark.parametrize("position", [0, 20, -1])
def test_one_changed_byte_of_a_sealed_page_is_found(position: int, tmp_path: Path) -> None:
    store = stored(tmp_path, NEW)
    path = store.folder / RUN / f"{FILE}.enc"
    sealed = bytearray(path.read_bytes())
    sealed[position] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(sealed))
    with pytest.raises(RawPageAltered, match="one of HESI_ERP_RAW_KEYS opens"):
        store.read(RUN, page())
    assert store.kept(RUN, FILE, page().sha256) == "altered"


@pytest.mark.parametrize("keys", ["short", f"{NEW},short", NEW[:-1], "é" * 44], ids=["short", "second short", "one character less", "no ascii"])
def test_a_key_that_is_none_is_a_wrong_setting_and_is_not_repeated(keys: str) -> None:
    with pytest.raises(ConfigError, match="HESI_ERP_RAW_KEYS: expected Fernet keys") as told:
        load_settings(HESI_ERP_RAW_KEYS=keys)
    assert keys not in str(told.value)
    assert NEW not in str(told.value)


def test_keys_are_taken_in_their_order() -> None:
    assert split_keys(load_settings(HESI_ERP_RAW_KEYS=f" {NEW}, {OLD},").raw_keys) == (NEW, OLD)
