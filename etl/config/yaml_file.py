"""One YAML 1.2 file as plain text values that remember their lines.

YAML is read for what a person sees: every scalar is the text that is written (``0101`` stays ``0101``, ``no`` stays
``no``); types come from the model alone (:mod:`etl.config.yaml_model`). Whatever makes a file mean something else than
it shows is refused: repeated keys, anchors, aliases, tags, merge keys, directives and second documents. Without aliases
a file cannot grow while it is read, so the size limit bounds memory too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from etl.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

Node = str | None | list[Any] | dict[str, Any]
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file says, where it says it, and the hash of its bytes.

    ``name`` is how messages call the file; ``lines`` maps a place (keys and list positions from the top) to the line, from 1.
    An empty value is None.
    """

    name: str
    data: dict[str, Any]
    lines: Mapping[Place, int]
    sha256: str

    def problem(self, place: Place, text: str) -> str:
        """``file:line: key path: text``."""
        return f"{self.where(place)}: {dotted(place)}: {text}" if place else f"{self.where(place)}: {text}"

    def where(self, place: Place) -> str:
        """``file:line`` of a place, or of its nearest parent in the file."""
        known = next((place[:end] for end in range(len(place), 0, -1) if place[:end] in self.lines), ())
        return f"{self.name}:{self.lines.get(known, 1)}"


def dotted(place: Place) -> str:
    """A place as people write it.

    >>> dotted(("fee_types", 3, "accounts", "admin"))
    'fee_types[3].accounts.admin'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def read_yaml(path: Path, *, name: str | None = None) -> Document:
    """The file's values with their lines.

    Raises:
        ConfigError: ``problems`` holds every mistake found, as ``file:line: key path: expected ..., found ...``.
    """
    shown = name or path.name
    content, text = _text(path, shown)
    tree = _Tree(shown)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            tree.take(event)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        tree.problems.append(f"{shown}:{line}: expected YAML 1.2, found {error.problem or error.context}")
    except YAMLError as error:
        reason = " ".join(str(error).split())
        tree.problems.append(f"{shown}:1: expected YAML 1.2, found {reason}")
    if not tree.problems and not isinstance(tree.root, dict):
        tree.problems.append(f"{shown}:1: expected keys and values, found {found(tree.root)}")
    if tree.problems or not isinstance(tree.root, dict):
        raise ConfigError(f"{shown} cannot be read:", problems=tuple(tree.problems))
    return Document(shown, tree.root, tree.lines, hashlib.sha256(content).hexdigest())


def found(value: object) -> str:
    """A value as a message shows it: short, and never a whole block."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _text(path: Path, shown: str) -> tuple[bytes, str]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{shown}: expected a readable file, found: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{shown}: expected at most {MAX_BYTES:,} bytes; split the file")
    try:
        return content, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{shown}:{line}: expected UTF-8 text, found byte 0x{content[error.start]:02x}") from None


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read; ``key`` waits for its value."""

    container: dict[str, Any] | list[Any]
    place: Place
    key: str | None = None


class _Tree:
    """Builds values from parser events; mistakes are collected so that all are reported at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Node = None
        self.lines: dict[Place, int] = {}
        self.problems: list[str] = []
        self._stack: list[_Open] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        """Adds one event of ruamel's parser."""
        line = event.start_mark.line + 1
        self.problems.extend(f"{self.name}:{line}: {text}" for text in self._refused(event))
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._stack.pop()
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            container: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
            self._stack.append(_Open(container, self._place(container, line)))
            if len(self._stack) > MAX_DEPTH:
                raise YAMLError(f"more than {MAX_DEPTH} levels on line {line}")
        elif isinstance(event, (ScalarEvent, AliasEvent)):
            self._scalar(event, line)

    def _refused(self, event: Any) -> Iterator[str]:
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                yield "expected one document, found a second one after ---"
            if event.tags or event.version not in (None, (1, 2)):
                yield "expected no directive but %YAML 1.2, found another one"
        elif isinstance(event, AliasEvent):
            yield f"expected the value itself, found the alias *{event.anchor}; write it out"
        elif getattr(event, "anchor", None):
            yield f"expected a plain value, found the anchor &{event.anchor}; write values out"
        if isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)) and event.tag:
            yield f"expected no tag, found {event.tag}; the program knows the type"

    def _scalar(self, event: Any, line: int) -> None:
        value = "" if isinstance(event, AliasEvent) else event.value
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.container, dict) and top.key is None:
            self._key(top, value, line)
            return
        plain_and_empty = value == "" and getattr(event, "style", None) is None
        self._place(None if plain_and_empty else value, line)

    def _key(self, top: _Open, key: str, line: int) -> None:
        place = (*top.place, key)
        if key == "<<":
            self.problems.append(f"{self.name}:{line}: expected a key, found the merge key <<; write the keys out")
        if place in self.lines:
            self.problems.append(f"{self.name}:{line}: {dotted(place)}: expected each key once, found it again (first on line {self.lines[place]})")
        else:
            self.lines[place] = line
        top.key = key

    def _place(self, value: Node, line: int) -> Place:
        """Puts a finished scalar or a new container where it belongs, and says where that is."""
        if not self._stack:
            self.root = value
            return ()
        top = self._stack[-1]
        if isinstance(top.container, list):
            place = (*top.place, len(top.container))
            self.lines[place] = line
            top.container.append(value)
            return place
        if top.key is None:
            raise YAMLError(f"a list or mapping used as a key on line {line}")
        place = (*top.place, top.key)
        top.container.setdefault(top.key, value)
        top.key = None
        return place
