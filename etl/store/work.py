"""Frames between two steps, as Arrow IPC files of one run: written beside and renamed, private, removed at the end.

``work/<run_id>/<step>/<chunk>/<frame>.arrow``. Only folders and counts travel between tasks, never rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
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

    def write_frames(self, step: str, chunk: int, frames: Mapping[str, pd.DataFrame]) -> None:
        """Stores the frames of one chunk; a repeated step replaces them."""
        folder = self.folder / step / f"{chunk:05d}"
        for place in (self.folder, folder.parent, folder):  # mkdir gives its mode to the last folder only
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, frame in frames.items():
            with written_beside(folder / f"{name}.arrow") as handle:
                table = pa.Table.from_pandas(frame, preserve_index=False)
                with pa.ipc.new_file(handle, table.schema) as writer:
                    writer.write_table(table)

    def read_frame(self, step: str, chunk: int, name: str) -> pd.DataFrame:
        """One frame of one chunk."""
        path = self.folder / step / f"{chunk:05d}" / f"{name}.arrow"
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            frame: pd.DataFrame = reader.read_all().to_pandas(split_blocks=True)
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
