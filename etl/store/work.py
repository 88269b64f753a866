"""Frames between two steps, as Arrow IPC files of one run: written beside and renamed, private, removed at the end.

``work/<run_id>/<step>/<chunk>/<frame>.arrow``. Only folders and counts travel between tasks, never rows.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pandas as pd
import pyarrow as pa

from etl.errors import ConfigError
from etl.files import written_beside
from etl.store.names import is_plain_name

T = TypeVar("T")


class WorkFolder:
    """The hand-over files of one run."""

    def __init__(self, home: Path, run_id: str) -> None:
        if not is_plain_name(run_id):  # it comes from another task, and remove() removes what it names
            raise ConfigError(f"run id {run_id!r}: expected the id of a run, found another text; start a new run")
        self.folder = home / "work" / run_id

    def hold(self) -> ExitStack:
        """The folder, made if need be; until the result is closed, or its process dies, nobody takes it for left behind."""
        while True:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_SH)
            if self.folder.exists() and os.path.samestat(os.fstat(handle), self.folder.stat()):
                held = ExitStack()
                held.callback(os.close, handle)
                return held
            os.close(handle)  # it was removed between the two calls

    def write_frames(self, step: str, chunk: int, frames: Mapping[str, pd.DataFrame]) -> None:
        """Stores the frames of one chunk; a repeated step replaces them."""
        folder = self.folder / step / f"{chunk:05d}"
        for place in (self.folder, folder.parent, folder):  # mkdir gives its mode to the last folder only
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, frame in frames.items():
            with written_beside(folder / f"{name}.arrow") as handle:
                table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)  # nothing to convert that would be worth a thread
                with pa.ipc.new_file(handle, table.schema) as writer:
                    writer.write_table(table)

    def read_frame(self, step: str, chunk: int, name: str) -> pd.DataFrame:
        """One frame of one chunk."""
        path = self.folder / step / f"{chunk:05d}" / f"{name}.arrow"
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            frame: pd.DataFrame = reader.read_all().to_pandas(split_blocks=True, ignore_metadata=True)  # the dtypes follow from the columns alone
        return frame

    def chunks(self, step: str) -> Iterator[int]:
        """Chunk numbers a step has written, in order."""
        folder = self.folder / step
        yield from sorted(int(path.name) for path in folder.iterdir() if path.is_dir()) if folder.exists() else ()

    def reset(self, step: str) -> None:
        """Removes what an earlier attempt of a step left."""
        shutil.rmtree(self.folder / step, ignore_errors=True)

    def write_value(self, name: str, value: Any) -> None:
        """Stores a small typed value beside the frames."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with written_beside(self.folder / f"{name}.msgpack") as handle:
            handle.write(msgspec.msgpack.encode(value))

    def read_value(self, name: str, type_: type[T]) -> T:
        """A stored value.

        Raises:
            ConfigError: the step before has not run.
        """
        path = self.folder / f"{name}.msgpack"
        if not path.exists():
            raise ConfigError(f"expected {path} from the step before, found nothing; start the run from extract")
        return msgspec.msgpack.decode(path.read_bytes(), type=type_)

    def remove(self) -> None:
        """Removes every file of the run; raw pages, ledger and reports stay."""
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_left_behind(home: Path, is_over: Callable[[str], bool]) -> int:
    """How many folders of runs that are over were removed: killed and stopped runs leave theirs, and it may name people.

    A folder that a process still holds stays, whatever ``is_over`` says of its run.
    """
    folders = [folder for folder in (home / "work").iterdir() if is_plain_name(folder.name) and folder.is_dir()]
    return sum(_removed(folder) for folder in folders if is_over(folder.name))


def _removed(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except OSError:  # held, or not ours to remove: the next run tries again
        return False
    finally:
        os.close(handle)
    return True
