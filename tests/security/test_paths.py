"""No name from outside leads out of the folder it belongs to: run ids, page names, raw references, company codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.errors import ConfigError, EtlError, RawPageAltered
from etl.store.names import is_plain_name
from etl.store.raw import RawPage, RawStore
from etl.store.work import WorkFolder
from tests.security.payloads import NAMES

RUN, FILE, BODY = "20261014T180000000-3fa2", "1-expense-active-000000.json", b'{"items":[{"id":"a"}]}'


def page(file: str, sha256: str = "0" * 64) -> RawPage:
    return RawPage(file, sha256, 1, "expense", True, 1, "https://app.ekuaibao.com/x", 1, [0])


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    (tmp_path / "pages.json").write_bytes(b"not yours")
    made = RawStore(tmp_path / "home")
    made.write_index(RUN, [page(FILE, made.write(RUN, FILE, BODY))])
    return made


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_there_are_sixty_names() -> None:
    assert len(set(NAMES)) >= 60


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_from_outside_never_becomes_a_path(name: str, store: RawStore, tmp_path: Path) -> None:
    before = everything(tmp_path)
    assert not is_plain_name(name)
    for run_id, file in ((name, FILE), (RUN, name)):
        with pytest.raises(RawPageAltered):
            store.write(run_id, file, b"x")
        with pytest.raises(RawPageAltered):
            store.read(run_id, page(file))
        assert store.kept(run_id, file, "0" * 64) == "missing"
        ref = f"{run_id}/{file}#0"
        assert dict(store.items([ref])) == {ref: None}
    assert store.index(name) == []
    with pytest.raises(RawPageAltered):
        store.write_index(name, [])
    with pytest.raises(ConfigError, match="run id"):
        WorkFolder(tmp_path, name)
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "ref", ["", "#", "#0", "/#0", f"{RUN}/{FILE}", f"{RUN}/{FILE}#", f"{RUN}/{FILE}#x", f"{RUN}/{FILE}#-1", f"{RUN}/{FILE}#9", f"{RUN}/{FILE}#²"]
)
def test_a_reference_that_is_none_finds_nothing(ref: str, store: RawStore) -> None:
    assert dict(store.items([ref])) == {ref: None}


def test_a_page_index_that_names_a_file_elsewhere_is_refused(store: RawStore, tmp_path: Path) -> None:
    (tmp_path / "home" / "secret.json").write_bytes(BODY)
    store.write_index(RUN, [page("../../secret.json")])
    ref = f"{RUN}/../../secret.json#0"
    with pytest.raises(RawPageAltered, match="another place"):
        dict(store.items([ref]))


def test_a_link_out_of_the_raw_folder_is_not_followed(store: RawStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "page.json").write_bytes(BODY)
    (store.folder / "20261015T180000000-3fa2").symlink_to(outside, target_is_directory=True)
    (store.folder / RUN / "linked.json").symlink_to(outside / "page.json")
    for run_id, file in (("20261015T180000000-3fa2", "page.json"), (RUN, "linked.json")):
        with pytest.raises(RawPageAltered, match="another place"):
            store.read(run_id, page(file))
        with pytest.raises(RawPageAltered, match="another place"):
            store.write(run_id, file, b"x")
    assert (outside / "page.json").read_bytes() == BODY


def test_our_own_names_stay_usable(store: RawStore) -> None:
    assert store.read(RUN, store.index(RUN)[0]) == BODY
    assert [bytes(raw or b"") for _, raw in store.items([f"{RUN}/{FILE}#0"])] == [b'{"id":"a"}']
    for name in (RUN, FILE, "pages.json", "1-list-feeTypes-00001.json", "run-1"):
        assert is_plain_name(name)


def test_removing_the_files_of_a_run_removes_nothing_else(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path, RUN)
    work.write_value("x", 1)
    (tmp_path / "work" / "other").mkdir()
    work.remove()
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["other"]


def test_all_refusals_are_ours() -> None:
    assert issubclass(RawPageAltered, EtlError)
    assert issubclass(ConfigError, EtlError)
