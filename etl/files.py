"""Files of this program on disk: private, whole or not there, and one name for a disk that takes nothing more.

A full disk, a read-only one and a missing right are the same to whoever must act, whether Python or SQLite met them.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from etl.errors import StorageUnavailable

_REFUSED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EISDIR, errno.ENOTDIR})
_REFUSED_BY_SQLITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_PRIMARY_CODE = 0xFF  # SQLite tells details in the bits above


@contextmanager
def on_disk(place: Path) -> Iterator[None]:
    """A block whose refused writes name the file, or ``place`` where the system does not tell which file it was.

    Raises:
        StorageUnavailable: the disk is full or read-only, or the right to write is missing.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise storage_unavailable(error.filename or place, error.strerror or type(error).__name__) from None


@contextmanager
def written_beside(path: Path) -> Iterator[BinaryIO]:
    """A file only its owner can read; it appears under its name when the block ends well, whole.

    Raises:
        StorageUnavailable: as :func:`on_disk`.
    """
    part = path.with_name(f".{path.name}.part")
    with on_disk(path):
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            yield handle
        part.rename(path)


def refused_by_disk(error: BaseException | None) -> bool:
    """Whether SQLite could not use its file: disk full, read-only, no right to it."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE in _REFUSED_BY_SQLITE


def storage_unavailable(place: object, found: str) -> StorageUnavailable:
    """The error that names a file which could not be written."""
    return StorageUnavailable(f"{place}: expected to write it, found: {found}. Make room, or give the program's user the right to write there; then run again")
