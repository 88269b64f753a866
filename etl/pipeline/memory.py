"""Memory between two steps: what a step has freed goes back to the system before the next one begins.

A run works chunk by chunk, but an allocator keeps what it was given once: each step's peak would stand on the leftovers of
all steps before it (measured at 20,000 claims: 100 MB after ``stage`` alone). Within a step the next chunk wants the same memory
again, and every page the system has to give anew costs 2 to 3 µs, which makes reading half a megabyte fifteen times as slow: there it
is kept (measured: some 50 µs a claim less, the peak as before).
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

# Of malloc.h. Whoever sets one of them must set both: the library then stops learning that large blocks come again.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 << 20  # more than any chunk needs
_LARGEST_BLOCK = 4 << 20  # a chunk has no larger one; those of the whole run go back at once


@contextmanager
def fresh_memory() -> Iterator[None]:
    """A block that begins with everything free given back, keeps what it frees itself, and whose Arrow buffers come from the C library.

    Arrow's own allocator would hold on to freed pages over the end of the block, too.
    """
    give_back()
    _in_c_library("mallopt", _TRIM_THRESHOLD, _KEPT_BYTES)
    _in_c_library("mallopt", _MMAP_THRESHOLD, _LARGEST_BLOCK)
    usual = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(usual)


def give_back() -> None:
    """Nothing; memory that is free is the system's again."""
    gc.collect()  # frames that still hang together in cycles
    pa.default_memory_pool().release_unused()
    _in_c_library("malloc_trim", 0)


def _in_c_library(name: str, *arguments: int) -> None:
    """Calls what the GNU C library has; others have their own habits."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
