"""``hesi-erp sandbox``: hands over to the sandbox, a program of its own."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from collections.abc import Sequence
from typing import TextIO


def start_sandbox(arguments: Sequence[str]) -> int:
    """Exit status of the sandbox's own command line; with ``--json`` the address is announced as JSON.

    It is found by name: nothing in etl depends on the sandbox, and an installation may leave it out.
    """
    rest = [argument for argument in arguments if argument != "--json"]
    main = importlib.import_module("sandbox.cli").main
    if len(rest) == len(arguments):
        return int(main(rest))
    with contextlib.redirect_stdout(_Announcement(sys.stdout)):
        return int(main(rest))


class _Announcement(io.TextIOBase):
    """Turns the sandbox's line ``listening URL`` into one JSON document; other lines go to standard error."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._line = ""

    def write(self, text: str) -> int:
        """Takes text, passes complete lines on."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            word, _, url = line.partition(" ")
            if word == "listening":
                self._out.write(json.dumps({"listening": url}) + "\n")
                self._out.flush()
            else:
                sys.stderr.write(line + "\n")
        return len(text)
