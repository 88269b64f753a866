"""``verify.py`` finds every changed byte, says where, and trusts only the key it was given."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import random
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl.audit.keys import Signer
from etl.evidence.container import Member, write_container
from etl.evidence.pack import VERIFIER
from etl.evidence.verify import main, problems, read_key
from tests.evidence.conftest import COMPANY, PERIOD, PRIVATE, PUBLIC, History

PROJECT = Path(__file__).resolve().parents[2]


def broken(data: bytes, *keys: bytes) -> list[tuple[str, str]]:
    """Checks that failed."""
    return [(name, problem) for name, problem in problems(data, keys) if problem and name != "attention"]


def repacked(pack: bytes, folder: Path, *, signer: Signer | None = None, listed: bool = True, **changes: bytes | None) -> bytes:
    """The pack with some files replaced (None removes one), in a right container; with a manifest made anew, and signed."""
    with zipfile.ZipFile(io.BytesIO(pack)) as container:
        content: dict[str, bytes | None] = {name: container.read(name) for name in container.namelist()} | changes
    if listed:
        manifest = json.loads(content["manifest.json"] or b"")
        manifest["files"] = [
            {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in content.items() if data is not None and not name.startswith("manifest.")
        ]  # fmt: skip
        if signer:
            manifest["key"] = signer.key_id
        content["manifest.json"] = json.dumps(manifest).encode()
        if signer:
            content["manifest.sig"] = f"{signer.sign(b'hesi-erp evidence manifest 1' + bytes([10]) + content['manifest.json'])}\n".encode()
    folder.mkdir(exist_ok=True)
    members = []
    for number, (name, data) in enumerate(sorted(content.items())):
        if data is not None:
            (folder / str(number)).write_bytes(data)
            members.append(Member(name, folder / str(number)))
    write_container(folder / "pack.zip", members)
    return (folder / "pack.zip").read_bytes()


def content(pack: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(pack)) as container:
        return container.read(name)


def regions(pack: bytes) -> Iterator[tuple[str, int, int]]:
    """Every part of the container: the header and the content of each file, the directory, the end record."""
    with zipfile.ZipFile(io.BytesIO(pack)) as container:
        for info in container.infolist():
            start = info.header_offset + 30 + len(info.filename.encode())
            yield f"header of {info.filename}", info.header_offset, start
            if info.file_size:
                yield info.filename, start, start + info.file_size
        yield "directory", container.start_dir, len(pack) - 22
    yield "end record", len(pack) - 22, len(pack)


def test_a_pack_is_whole(pack: bytes) -> None:
    assert [name for name, problem in problems(pack, [PUBLIC]) if not problem] == [
        "container", "files", "signature", "chain", "heads", "vouchers", "balance", "totals", "numbers", "draw",
    ]  # fmt: skip
    assert broken(pack, PUBLIC) == []


def test_the_container_is_an_ordinary_zip_of_stored_files_without_dates(pack: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(pack)) as container:
        assert container.testzip() is None
        infos = container.infolist()
    assert {(info.compress_type, info.date_time, info.extra, info.comment) for info in infos} == {(zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), b"", b"")}
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)


def test_any_changed_byte_is_found_in_every_region_of_the_container(pack: bytes) -> None:
    seeded, tried = random.Random(20261001), 0
    for region, start, end in regions(pack):
        places = range(start, end) if end - start <= 24 else sorted(seeded.sample(range(start, end), 10))
        for place in places:
            changed = pack[:place] + bytes([pack[place] ^ seeded.randrange(1, 256)]) + pack[place + 1 :]
            assert broken(changed, PUBLIC), f"byte {place} of {region}"
            tried += 1
    assert tried >= 500


def test_a_changed_byte_in_any_file_is_found_when_the_container_was_made_anew(pack: bytes, tmp_path: Path) -> None:
    seeded = random.Random(7)
    with zipfile.ZipFile(io.BytesIO(pack)) as container:
        whole = {name: container.read(name) for name in container.namelist() if container.getinfo(name).file_size}
    assert len(whole) > 30
    for name, data in whole.items():
        place = seeded.randrange(len(data))
        changed = data[:place] + bytes([data[place] ^ seeded.randrange(1, 256)]) + data[place + 1 :]
        found = broken(repacked(pack, tmp_path / "files", listed=False, **{name: changed}), PUBLIC)
        assert [check for check, _ in found] in (["files"], ["container"], ["signature"]), (name, place, found)


def test_a_changed_byte_in_any_file_is_found_when_the_manifest_was_made_anew_too(pack: bytes, tmp_path: Path) -> None:
    for name in ("1-population/vouchers.csv", "9-audit-log/log.jsonl", "index.zh.html", "verify.py"):
        data = content(pack, name)
        found = broken(repacked(pack, tmp_path / "files", **{name: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]}), PUBLIC)
        assert [check for check, _ in found] == ["signature"], name


@pytest.mark.parametrize("change", [
    lambda pack: pack + b"\0",
    lambda pack: pack + pack[-22:],
    lambda pack: b"\0" + pack,
    lambda pack: pack[:-1],
    lambda pack: pack[:-2] + struct.pack("<H", 5) + b"hello",
    lambda pack: pack[: len(pack) // 2],
    lambda pack: b"",
    lambda pack: b"PK\5\6" + bytes(18),
])  # fmt: skip
def test_bytes_before_behind_and_between_are_found(pack: bytes, change: Any) -> None:
    assert [name for name, _ in broken(change(pack), PUBLIC)] in (["container"], ["files"])


def test_a_pack_with_an_extra_field_or_compression_is_refused(pack: bytes) -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        target = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(pack)) as container, zipfile.ZipFile(target, "w", compression) as other:
            for name in container.namelist():
                other.writestr(name, container.read(name))
        assert [name for name, _ in broken(target.getvalue(), PUBLIC)] == ["container"]


def test_a_pack_signed_again_with_another_key_fails(pack: bytes, tmp_path: Path) -> None:
    stranger = Signer(bytes(32))
    forged = repacked(pack, tmp_path / "files", signer=stranger)
    assert [name for name, _ in broken(forged, PUBLIC)] == ["signature"]
    assert "none of the trusted keys" in broken(forged, PUBLIC)[0][1]


def test_a_pack_that_names_our_key_under_a_strangers_signature_fails(pack: bytes, tmp_path: Path) -> None:
    forged = repacked(pack, tmp_path / "files", signer=Signer(bytes(32)))
    manifest = content(forged, "manifest.json").replace(Signer(bytes(32)).key_id.encode(), Signer(PRIVATE).key_id.encode())
    again = repacked(forged, tmp_path / "again", listed=False, **{"manifest.json": manifest})
    assert broken(again, PUBLIC) == [("signature", "manifest.sig is not the signature of manifest.json by the trusted key")]


def test_an_unsigned_pack_passes_only_when_no_key_is_asked_for(own: History) -> None:
    unsigned = own.pack(HESI_ERP_SIGNING_KEY="")
    assert broken(unsigned) == []
    assert [name for name, _ in broken(unsigned, PUBLIC)] == ["signature"]


# What a forger who holds the key of the pack, but not the past, still cannot do: each file contradicts another.
@pytest.mark.parametrize(
    ("name", "old", "new", "check"),
    [
        ("9-audit-log/log.jsonl", rb'"decision', b'"Decision', "chain"),
        ("9-audit-log/batches.csv", rb'""hash"":""[0-9a-f]{4}', b'""hash"":""0000', "heads"),
        ("9-audit-log/anchors.jsonl", rb'"signature":"[0-9a-f]{4}', b'"signature":"0000', "heads"),
        ("1-population/vouchers.csv", rb",[0-9a-f]{64},(?=[^,]*\r\n)", b"," + b"0" * 64 + b",", "vouchers"),
        ("1-population/voucher_lines.csv", rb",(\d+)\.(\d\d),0\.00,", b",999999.99,0.00,", "balance"),
        ("1-population/totals.csv", rb",(\d+),(\d+),", b",\\1,77777,", "balance"),
        ("1-population/account_totals.csv", rb"\.\d\d\r\n", b".99\r\n1", "balance"),
        ("1-population/entries.csv", rb",CNY,(\d+)\.", b",CNY,1\\1.", "totals"),
        ("1-population/source_tie.csv", rb",0\.00,", b",5.00,", "totals"),
        ("6-samples/samples.csv", rb"random", b"unusua", "draw"),
    ],
)
def test_a_figure_changed_by_somebody_who_can_sign_contradicts_the_others(pack: bytes, tmp_path: Path, name: str, old: bytes, new: bytes, check: str) -> None:
    changed = re.sub(old, new, content(pack, name), count=1)
    assert changed != content(pack, name)
    found = broken(repacked(pack, tmp_path / "files", signer=Signer(PRIVATE), **{name: changed}), PUBLIC)
    assert [each for each, _ in found] == [check]


def test_a_voucher_left_out_by_somebody_who_can_sign_is_missed(pack: bytes, tmp_path: Path) -> None:
    tables = {}
    lines = content(pack, "1-population/vouchers.csv").splitlines(keepends=True)
    number = lines[-1].split(b",")[:3]
    tables["1-population/vouchers.csv"] = b"".join(lines[:-1])
    found = broken(repacked(pack, tmp_path / "files", signer=Signer(PRIVATE), **tables), PUBLIC)
    assert [name for name, _ in found] == ["vouchers"]
    assert number[2].decode() in found[0][1]


def test_a_file_added_or_removed_is_found(pack: bytes, tmp_path: Path) -> None:
    for changes in ({"extra.txt": b"x"}, {"retention.csv": None}):
        found = broken(repacked(pack, tmp_path / "files", listed=False, **changes), PUBLIC)  # type: ignore[arg-type]
        assert [name for name, _ in found] == ["files"]


@pytest.mark.parametrize("text", ["hex", "base64", "urlsafe", "file", "pem"])
def test_the_key_is_an_argument_in_any_usual_form(tmp_path: Path, text: str) -> None:
    import base64

    spki = bytes.fromhex("302a300506032b6570032100") + PUBLIC
    (tmp_path / "key").write_text(PUBLIC.hex())
    (tmp_path / "key.pem").write_text(f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(spki).decode()}\n-----END PUBLIC KEY-----\n")
    forms = {
        "hex": PUBLIC.hex(), "base64": base64.b64encode(PUBLIC).decode(), "urlsafe": base64.urlsafe_b64encode(PUBLIC).decode().rstrip("="),
        "file": str(tmp_path / "key"), "pem": str(tmp_path / "key.pem"),
    }  # fmt: skip
    assert read_key(forms[text]) == PUBLIC


@pytest.mark.parametrize("text", ["", "abc", "00" * 31, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several parsers refuse it, each in its words
        read_key(text)


def isolated(pack: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """verify.py as an auditor runs it: a bare interpreter, another folder."""
    command = [sys.executable, "-I", "-S", "verify.py", str(pack), *arguments]
    return subprocess.run(command, cwd=pack.parent, capture_output=True, text=True, check=False, encoding="utf-8")


@pytest.fixture
def elsewhere(pack: bytes, tmp_path: Path) -> Path:
    """A folder that holds the pack and the verifier, nothing else."""
    (tmp_path / "pack.zip").write_bytes(pack)
    (tmp_path / "verify.py").write_bytes(VERIFIER.read_bytes())
    return tmp_path / "pack.zip"


def test_a_bare_interpreter_verifies_the_pack_elsewhere(elsewhere: Path) -> None:
    told = isolated(elsewhere, "--key", PUBLIC.hex())
    assert (told.returncode, told.stderr) == (0, "")
    assert "THE PACK IS WHOLE" in told.stdout


def test_it_says_what_is_wrong_in_chinese_too_and_exits_1(elsewhere: Path) -> None:
    data = elsewhere.read_bytes()
    elsewhere.write_bytes(data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
    told = isolated(elsewhere, "--key", PUBLIC.hex(), "--lang", "zh")
    assert told.returncode == 1
    assert "证据包不可信" in told.stdout
    assert "FAIL 容器逐字节一致: " in told.stdout


def test_without_a_key_it_asks_for_one_and_unsigned_is_said_aloud(elsewhere: Path) -> None:
    assert isolated(elsewhere).returncode == 2
    told = isolated(elsewhere, "--unsigned")
    assert told.returncode == 0
    assert "NO SIGNATURE WAS CHECKED" in told.stdout


def test_a_pack_or_key_that_is_none_is_a_wrong_argument(elsewhere: Path) -> None:
    assert isolated(elsewhere.with_name("none.zip"), "--unsigned").returncode == 2
    assert isolated(elsewhere, "--key", "nothing").returncode == 2


def test_the_command_line_works_in_this_process(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(elsewhere), "--key", PUBLIC.hex()]) == 0
    assert capsys.readouterr().out.count("ok  ") == 10


def test_what_the_pack_itself_says_needs_attention_is_shown_and_is_no_failure(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(elsewhere), "--key", PUBLIC.hex()]) == 0
    assert "K11 1 incidents" in capsys.readouterr().out


def test_verify_imports_the_standard_library_alone() -> None:
    tree = ast.parse(VERIFIER.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_the_pack_carries_the_verifier_whose_hash_stands_in_the_documentation(pack: bytes) -> None:
    digest = hashlib.sha256(VERIFIER.read_bytes()).hexdigest()
    assert content(pack, "verify.py") == VERIFIER.read_bytes()
    page = (PROJECT / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert f"`{digest}`" in page, f"docs/evidence.md: the SHA-256 of etl/evidence/verify.py is now {digest}"


def test_a_second_company_verifies_with_the_same_log(history: History) -> None:
    companies = [row[0] for row in history.ask("SELECT DISTINCT company_code FROM voucher WHERE fiscal_period = 10 AND company_code <> ?", COMPANY)]
    assert companies
    for company in companies:
        assert broken(history.pack(company=company), PUBLIC) == [], (company, PERIOD)
