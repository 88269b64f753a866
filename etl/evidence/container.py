"""The zip of a pack, byte for byte the same for the same members: stored, sorted, without dates, owners, comments or extras.

Nothing in the container is free, so ``verify.py`` can build it again from the members and compare every byte.
"""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from etl.errors import PackTooLarge

_DOS_DATE = 0x21  # 1980-01-01, the first day a zip can say
_FLAGS = 0x800  # names are UTF-8
_VERSION, _MADE_BY = 20, (3 << 8) | 20  # 2.0; Unix
_ATTRIBUTES = 0o100444 << 16
_LIMIT = 2**32 - 1
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of a pack; ``source`` is where its bytes are."""

    name: str
    source: Path


def write_container(target: Path, members: Sequence[Member]) -> None:
    """The zip of these members, in order of name; written beside its place and renamed, mode 0600.

    Raises:
        PackTooLarge: build packs of shorter periods or single companies.
    """
    ordered = sorted(members, key=lambda member: member.name.encode())
    if sum(member.source.stat().st_size + 2 * len(member.name.encode()) + 100 for member in ordered) > _LIMIT or len(ordered) > 65_535:
        raise PackTooLarge(f"{target.name}: expected at most 4 GiB in 65,535 files, found more; build it for one company")
    part = target.with_name(f".{target.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        directory = b"".join(_write_member(file, member) for member in ordered)
        start = file.tell()
        file.write(directory)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(ordered), len(ordered), len(directory), start, 0))
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)


def _write_member(file: BinaryIO, member: Member) -> bytes:
    """Appends a member; returns its line of the directory."""
    offset, name = file.tell(), member.name.encode()
    size, crc = member.source.stat().st_size, _crc(member.source)
    common = struct.pack("<5H3L2H", _VERSION, _FLAGS, 0, 0, _DOS_DATE, crc, size, size, len(name), 0)
    file.write(b"PK\3\4" + common + name)
    with member.source.open("rb") as source:
        shutil.copyfileobj(source, file, _BLOCK)
    return b"PK\1\2" + struct.pack("<H", _MADE_BY) + common + struct.pack("<3H2L", 0, 0, 0, _ATTRIBUTES, offset) + name


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            value = zlib.crc32(block, value)
    return value
