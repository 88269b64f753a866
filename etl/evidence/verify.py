"""Checks an evidence pack without the program that made it: the standard library of Python 3.11 or later, nothing else.

    python3 -I verify.py PACK --key PUBLIC_KEY [--key ...] [--lang zh|en]

PUBLIC_KEY is 64 hex digits, base64, or the path of a file (PEM or one of these); get it, and the SHA-256 of this file, from
somebody you trust, never from the pack. ``--unsigned`` instead of a key checks everything but who made it. Exit status: 0 the
pack is whole, 1 it is not, 2 wrong arguments. What is checked: every byte of the container, the hash of every file, the
signature, the chain of the audit log, its heads, every total, and the random draw. 核验证据包：容器逐字节、文件哈希、签名、日志链、合计与抽样。
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import re
import struct
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

WORDS = {
    "container": ("容器逐字节一致", "every byte of the container is as it has to be"),
    "files": ("文件哈希与清单一致", "every file has the hash of the manifest"),
    "signature": ("清单签名有效", "the manifest is signed by the trusted key"),
    "unsigned": ("未核验签名：任何人都可能制作了此包", "NO SIGNATURE WAS CHECKED: anybody may have made this pack"),
    "chain": ("审计日志链完整", "the chain of the audit log is whole"),
    "heads": ("日志头签名有效，且与过账批次及锚点一致", "the heads are signed, and batches and anchors hold the same ones"),
    "vouchers": ("每张凭证的指纹与日志记录一致", "every voucher has the fingerprint the log recorded"),
    "balance": ("每张凭证借贷相等", "every voucher balances"),
    "totals": ("合计重新加总一致", "every total, added again, is the one stated"),
    "numbers": ("凭证号连续性与声明一致", "number sequences are as stated"),
    "draw": ("随机样本可重新抽取", "the random draw, drawn again, is the one shown"),
    "whole": ("证据包完整", "THE PACK IS WHOLE"),
    "broken": ("证据包不可信", "THE PACK IS NOT WHOLE"),
    "attention": ("包内披露、需关注的控制结果", "controls the pack itself says need attention"),
}
STEPS = ("files", "signature", "chain", "heads", "vouchers", "balance", "totals", "numbers", "draw")


class Broken(Exception):
    """A check that failed; the text says what was expected, what was found, and where."""


def members(data: bytes) -> dict[str, memoryview]:
    """Files of the pack by name, once the container was built again from them and every byte compared."""
    if len(data) < 22 or data[-22:-18] != b"PK\5\6":
        raise Broken("expected the end record of a zip in the last 22 bytes, found something else: cut off, or bytes were added")
    count, _, place = struct.unpack("<H2L", data[-12:-2])
    found = []
    for _ in range(count):
        if data[place : place + 4] != b"PK\1\2" or place + 46 > len(data):
            raise Broken(f"expected an entry of the directory at byte {place}")
        length, name_length = struct.unpack("<LH", data[place + 24 : place + 30])
        found.append((data[place + 46 : place + 46 + name_length], length))
        place += 46 + name_length
    return _rebuilt(data, found)


def _rebuilt(data: bytes, found: Sequence[tuple[bytes, int]]) -> dict[str, memoryview]:
    names = [name for name, _ in found]
    if names != sorted(set(names)):
        raise Broken("expected file names in order and each once")
    view, at, directory, files = memoryview(data), 0, b"", {}
    for name, length in found:
        content = view[at + 30 + len(name) : at + 30 + len(name) + length]
        common = struct.pack("<5H3L2H", 20, 0x800, 0, 0, 0x21, zlib.crc32(content), length, length, len(name), 0)
        _same(data, at, b"PK\3\4" + common + name, f"header of {name.decode('utf-8', 'replace')}")
        directory += b"PK\1\2" + struct.pack("<H", (3 << 8) | 20) + common + struct.pack("<3H2L", 0, 0, 0, 0o100444 << 16, at) + name
        at += 30 + len(name) + length
        files[name.decode("utf-8", "replace")] = content
    directory += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(found), len(found), len(directory), at, 0)
    _same(data, at, directory, "directory")
    if len(data) != at + len(directory):
        raise Broken(f"expected {at + len(directory)} bytes, found {len(data)}")
    return files


def _same(data: bytes, at: int, expected: bytes, what: str) -> None:
    found = data[at : at + len(expected)]
    if found != expected:
        where = next((i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), len(found))
        raise Broken(f"{what}: byte {at + where} is not what the contents ask for")


# Ed25519, RFC 8032 section 5.1, verification only
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]  # extended homogeneous coordinates
Sums = defaultdict[tuple[str, ...], list[Decimal]]


def _add(a: Point, b: Point) -> Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def _times(number: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = _add(result, point)
        point, number = _add(point, point), number >> 1
    return result


def _point(encoded: bytes) -> Point | None:
    y, sign = int.from_bytes(encoded, "little") & (2**255 - 1), encoded[31] >> 7
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if x * x % P != square or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


_BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature of the message was made with the private half of the key."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r, s = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or _BASE is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = _times(s, _BASE), _add(r, _times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def read_key(text: str) -> bytes:
    """The 32 bytes of a public key; ValueError when the text is none."""
    path = Path(text)
    if len(text) < 1024 and path.is_file():
        text = path.read_text(encoding="ascii", errors="replace")
    if "BEGIN" in text:
        match = re.search(r"-----BEGIN PUBLIC KEY-----(.+?)-----END PUBLIC KEY-----", text, re.DOTALL)
        der = base64.b64decode("".join(match[1].split())) if match else b""
        if len(der) != 44 or der[:12].hex() != "302a300506032b6570032100":
            raise ValueError("expected an Ed25519 public key in PEM")
        return der[12:]
    body = "".join(text.split())
    if re.fullmatch(r"[0-9a-fA-F]{64}", body):
        return bytes.fromhex(body)
    raw = base64.b64decode(body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4), validate=True)
    if len(raw) != 32:
        raise ValueError("expected a key of 32 bytes")
    return raw


def _canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


class Pack:
    """The files of a pack and a check for each of :data:`STEPS`, raising :class:`Broken`; :data:`WORDS` says what each proves."""

    def __init__(self, files: Mapping[str, memoryview], keys: Sequence[bytes]) -> None:
        self.files, self.keys = files, {_sha256(key)[:16]: key for key in keys}
        self.manifest: dict[str, Any] = json.loads(bytes(self._file("manifest.json")))
        self.hashes: dict[int, str] = {}  # of the log's entries, by seq
        self.posted: dict[tuple[str, ...], str] = {}  # fingerprints of vouchers as the log saw them posted
        self.numbers: set[tuple[str, str, str]] = set()  # numbers the log saw given in the pack's company and month
        self.lost: set[int] = set()  # entries the log itself says are lost
        self.last_head: dict[str, Any] = {}

    def _file(self, name: str) -> memoryview:
        if name not in self.files:
            raise Broken(f"expected a file {name}, found none")
        return self.files[name]

    def rows(self, name: str) -> Iterator[dict[str, str]]:
        """Rows of a table."""
        with io.TextIOWrapper(io.BytesIO(self._file(name)), encoding="utf-8-sig", newline="") as text:
            yield from csv.DictReader(text)

    def _check_files(self) -> None:
        listed = {item["path"]: item for item in self.manifest["files"]}
        if extra := sorted((listed.keys() | {"manifest.json", "manifest.sig"}) ^ self.files.keys()):
            raise Broken(f"{extra[0]}: listed but not there, or there but not listed")
        for name, item in listed.items():
            if len(self.files[name]) != item["bytes"] or _sha256(self.files[name]) != item["sha256"]:
                raise Broken(f"{name}: its content is not what the manifest lists (SHA-256 {_sha256(self.files[name])})")

    def _check_signature(self) -> None:
        written = bytes(self._file("manifest.sig")).decode("ascii", "replace")
        key = self.keys.get(self.manifest["key"])
        if key is None:
            raise Broken(f"signed by key {self.manifest['key'] or '(none)'}, which is none of the trusted keys {', '.join(self.keys)}")
        message = b"hesi-erp evidence manifest 1\n" + bytes(self._file("manifest.json"))
        if not re.fullmatch(r"[0-9a-f]{128}\n", written) or not signed_by(key, message, bytes.fromhex(written)):
            raise Broken("manifest.sig is not the signature of manifest.json by the trusted key")

    def entries(self) -> Iterator[dict[str, Any]]:
        """Entries of the log, each proved against its hash and the one before."""
        last: dict[str, Any] | None = None
        for number, line in enumerate(io.BytesIO(self._file("9-audit-log/log.jsonl")), start=1):
            entry = json.loads(line)
            if _canonical(entry) + b"\n" != line:
                raise Broken(f"log line {number} is not spelled canonically")
            body = entry.get("body", {})
            content = _sha256(_canonical(body)) if "body" in entry else entry["body_sha256"]
            if _sha256(_canonical({"body_sha256": content, "prev": entry["prev"], "seq": entry["seq"]})) != entry["hash"]:
                raise Broken(f"log line {number}, seq {entry['seq']}: the hash is not that of the content")
            follows = body.get("missing_to", 0) + 1 if body.get("kind") == "gap" else (last or entry)["seq"] + bool(last)
            before = last["hash"] if last else "0" * 64 if entry["seq"] == 1 else entry["prev"]
            if entry["seq"] != follows or entry["prev"] != before:
                raise Broken(f"log line {number}, seq {entry['seq']}: it does not follow the entry before it")
            last = entry
            yield entry

    def _check_chain(self) -> None:
        """Walks the log and remembers its hashes, the last head and the fingerprints of vouchers."""
        for entry in self.entries():
            body = entry.get("body", {})
            self.hashes[entry["seq"]] = entry["hash"]
            if body.get("kind") == "head":
                self.last_head = {name.removeprefix("covers_"): value for name, value in body.items() if name != "kind"}
            elif body.get("kind") == "gap":
                self.lost.update(range(body["missing_from"], body["missing_to"] + 1))
            elif body.get("kind") == "posted":
                self.posted.update({(body["batch_id"], row[0], *map(str, row[2:5])): row[9] for row in body["rows"]})
                if body["company"] == self.manifest["company"]:
                    self.numbers.update((row[5], row[7], str(row[8])) for row in body["rows"] if row[6] == self.manifest["period"])
        if len(self.hashes) != self.manifest["log"]["entries"]:
            raise Broken(f"the log has {len(self.hashes)} entries, the manifest says {self.manifest['log']['entries']}")

    def _check_heads(self) -> None:
        """Heads of batches and anchors are entries of this log; they and the log's last one are signed."""
        heads = [json.loads(row["audit_head"]) for row in self.rows("9-audit-log/batches.csv") if row["audit_head"]]
        heads += [json.loads(line) for line in io.BytesIO(self._file("9-audit-log/anchors.jsonl"))]
        mine = [head for head in heads if head["log_id"] == self.manifest["log"]["log_id"] and head["seq"] not in self.lost]
        for head in (*mine, *([self.last_head] if self.last_head else [])):
            if self.hashes.get(head["seq"]) != head["hash"]:
                raise Broken(f"head {head['seq']} has a hash the log does not have: the log was rewritten or cut")
            if self.keys and (head["key"] or head is self.last_head):
                self._check_head(head)

    def _check_head(self, head: Mapping[str, Any]) -> None:
        key = self.keys.get(head["key"])
        message = b"hesi-erp audit head 1\n" + _canonical({name: value for name, value in head.items() if name != "signature"})
        if key is None or not signed_by(key, message, bytes.fromhex(head["signature"])):
            raise Broken(f"head {head['seq']} is not signed by a trusted key (it names {head['key'] or 'none'})")

    def _check_vouchers(self) -> None:
        """Vouchers are those the log saw posted; one that is gone is listed as a gap."""
        batches = self.rows("9-audit-log/batches.csv")
        logged = {row["batch_id"] for row in batches if row["audit_seq"] and int(row["audit_seq"]) not in self.lost}
        missing = self.numbers - {_number(row) for row in self.rows("1-population/number_gaps.csv")}
        for row in self.rows("1-population/vouchers.csv"):
            key = (row["batch_id"], row["claim_id"].removeprefix("'"), row["entry_kind"], row["part_no"], row["revision"])
            if row["batch_id"] in logged and self.posted.get(key) != row["payload_sha256"]:
                raise Broken(f"voucher {_shown(row)} of claim {row['claim_code']} is not what the log saw posted")
            missing.discard(_number(row))
        if missing:
            raise Broken(f"voucher {'/'.join(sorted(missing)[0])}: the log saw it posted, the pack has neither it nor a gap for it")

    def _check_balance(self) -> None:
        heads = {_number(row): row for row in self.rows("1-population/vouchers.csv")}
        sums: Sums = defaultdict(lambda: [Decimal(0)] * 3)
        accounts: Sums = defaultdict(lambda: [Decimal(0)] * 3)
        for row in self.rows("1-population/voucher_lines.csv"):
            debit, credit = Decimal(row["debit"]), Decimal(row["credit"])
            if _number(row) not in heads or bool(debit) == bool(credit):
                raise Broken(f"line {row['line_no']} of {_shown(row)}: without its voucher, or not exactly one of debit and credit")
            for total in (sums[_number(row)], accounts[row["account_code"], row["base_currency"]]):
                total[:] = [total[0] + 1, total[1] + debit, total[2] + credit]
        kinds: Sums = defaultdict(lambda: [Decimal(0)] * 4)
        for number, row in heads.items():
            lines, debit, credit = sums[number]
            if not lines or debit != credit:
                raise Broken(f"voucher {_shown(row)}: debits {debit}, credits {credit}, {lines} lines")
            kind = kinds[row["entry_kind"], row["currency"]]
            kind[:] = [kind[0] + 1, kind[1] + lines, kind[2] + debit, kind[3] + credit]
        self._compare("1-population/totals.csv", kinds, 2)
        self._compare("1-population/account_totals.csv", accounts, 2)
        stated = {tuple(row[:2]): [Decimal(value) for value in row[2:]] for row in self.manifest["population"]["totals"]}
        if stated != kinds:
            raise Broken("the manifest states other totals than the vouchers add up to")

    def _check_totals(self) -> None:
        states: Sums = defaultdict(lambda: [Decimal(0)] * 2)
        for row in self.rows("1-population/entries.csv"):
            total = states[row["entry_kind"], row["state"], row["currency"]]
            total[:] = [total[0] + 1, total[1] + Decimal(row["amount"])]
        self._compare("1-population/entry_totals.csv", states, 3)
        different = sum(1 for row in self.rows("1-population/source_tie.csv") if Decimal(row["difference"]))
        if different != self.manifest["completeness"]["different"]:
            raise Broken(f"{different} entries differ from their source, the manifest says {self.manifest['completeness']['different']}")

    def _compare(self, name: str, found: Sums, keys: int) -> None:
        stated = {tuple(row.values())[:keys]: [Decimal(value) for value in tuple(row.values())[keys:]] for row in self.rows(name)}
        for key in sorted(stated.keys() | found.keys()):
            if stated.get(key) != found.get(key):
                raise Broken(f"{name} {' '.join(key)}: stated {stated.get(key)}, added again {found.get(key)}")

    def _check_numbers(self) -> None:
        numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
        for row in self.rows("1-population/vouchers.csv"):
            series = numbers[row["book_code"], row["voucher_word"]]
            if int(row["voucher_no"]) in series:
                raise Broken(f"voucher {_shown(row)}: the number is given twice")
            series.add(int(row["voucher_no"]))
        gaps = {(*key, str(number)) for key, found in numbers.items() for number in set(range(1, max(found) + 1)) - found}
        listed = {_number(row) for row in self.rows("1-population/number_gaps.csv")}
        if wrong := (gaps - listed) | (listed - gaps - self.numbers):
            raise Broken(f"number {'/'.join(sorted(wrong)[0])}: a gap that is not listed, or listed without being one")

    def _check_draw(self) -> None:
        vouchers = list(self.rows("1-population/vouchers.csv"))
        drawn = sorted(vouchers, key=lambda row: _sha256(f"{self.manifest['seed']}:{_identity(row)}".encode()))[: self.manifest["samples"]["random"]]
        shown = {_number(row) for row in self.rows("6-samples/samples.csv") if row["chosen"].startswith("random")}
        if {_number(row) for row in drawn} != shown or len(drawn) != min(25, len(vouchers)):
            raise Broken(f"seed {self.manifest['seed']} draws other vouchers than samples.csv shows")


def _number(row: Mapping[str, str]) -> tuple[str, str, str]:
    return row["book_code"], row["voucher_word"], row["voucher_no"]


def _shown(row: Mapping[str, str]) -> str:
    return "/".join(_number(row))


def _identity(row: Mapping[str, str]) -> str:
    return ":".join((row["claim_id"].removeprefix("'"), row["entry_kind"], row["part_no"], row["revision"]))


def problems(data: bytes, keys: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    """(check, "" or what is wrong) in order; the first that fails is the last, for nothing behind it could be trusted."""
    packs: list[Pack] = []
    problem = _tried(lambda: packs.append(Pack(members(data), keys)))
    yield "container", problem
    for name in STEPS:
        if problem:
            return
        if keys or name != "signature":
            problem = _tried(getattr(packs[0], f"_check_{name}"))
            yield name, problem
    if not problem:
        yield from (("attention", f"{c['id']} {c['result']}") for c in packs[0].manifest["controls"] if c["attention"])


def _tried(check: Callable[[], object]) -> str:
    try:
        check()
    except Broken as error:
        return str(error)
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RecursionError, struct.error) as error:
        return f"unreadable ({type(error).__name__}: {error})"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Check an evidence pack. 核验证据包。")
    parser.add_argument("pack", type=Path)
    trust = parser.add_mutually_exclusive_group(required=True)
    trust.add_argument("--key", action="append", default=[], help="trusted public key: hex, base64 or file; repeat it after a change of keys")
    trust.add_argument("--unsigned", action="store_true", help="check everything but who made the pack")
    parser.add_argument("--lang", choices=("zh", "en"), default="en")
    options = parser.parse_args(arguments)
    try:
        data, keys = options.pack.read_bytes(), [read_key(text) for text in options.key]
    except (OSError, ValueError) as error:
        parser.error(f"{options.pack} or --key: {error}")
    language, broken = int(options.lang == "en"), False
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    for name, problem in problems(data, keys):
        broken = broken or bool(problem and name != "attention")
        mark = "!   " if name == "attention" else "FAIL" if problem else "ok  "
        sys.stdout.write(f"{mark} {WORDS[name][language]}{f': {problem}' if problem else ''}\n")
    if options.unsigned:
        sys.stdout.write(f"!    {WORDS['unsigned'][language]}\n")
    sys.stdout.write(f"{WORDS['broken' if broken else 'whole'][language]}  SHA-256 {_sha256(data)}\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
