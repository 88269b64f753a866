"""Where Arrow takes its memory from during a step."""

from __future__ import annotations

import pyarrow as pa
import pytest

from etl.pipeline.memory import fresh_memory


def test_a_step_takes_arrow_memory_from_the_c_library_and_leaves_the_process_as_it_was() -> None:
    before = pa.default_memory_pool().backend_name
    with fresh_memory():
        assert pa.default_memory_pool().backend_name == "system"
    assert pa.default_memory_pool().backend_name == before


def test_a_step_that_fails_leaves_the_process_as_it_was() -> None:
    before = pa.default_memory_pool().backend_name
    with pytest.raises(ZeroDivisionError), fresh_memory():
        _ = 1 // 0
    assert pa.default_memory_pool().backend_name == before


def test_buffers_made_in_a_step_outlive_it() -> None:
    with fresh_memory():
        made = pa.array(range(10_000)).cast(pa.string())
    assert made[-1].as_py() == "9999"
