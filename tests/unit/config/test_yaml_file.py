"""YAML is read as the text a person sees, and every way to hide something in it is refused with its line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from etl.config.yaml_file import MAX_BYTES, dotted, read_yaml
from etl.errors import ConfigError

WriteYaml = Callable[[str | bytes], Path]


def mistakes(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    return caught.value.problems or (str(caught.value),)


@pytest.mark.parametrize(
    "scalar",
    ["0101", "1002.10", "no", "Yes", "on", "null", "~", "1e3", "0x1F", "2026-01-31", "12:30:45", "true", ".inf"],
)
def test_every_scalar_stays_the_text_that_is_written(yaml_file: WriteYaml, scalar: str) -> None:
    assert read_yaml(yaml_file(f"code: {scalar}\n")).data == {"code": scalar}


def test_an_empty_value_is_nothing_but_a_quoted_empty_value_is_text(yaml_file: WriteYaml) -> None:
    assert read_yaml(yaml_file("a:\nb: ''\n")).data == {"a": None, "b": ""}


def test_keys_keep_their_text_too(yaml_file: WriteYaml) -> None:
    assert read_yaml(yaml_file('0101: a\n"*": b\nno: c\n')).data == {"0101": "a", "*": "b", "no": "c"}


def test_blocks_lists_and_characters_beyond_the_basic_plane_survive(yaml_file: WriteYaml) -> None:
    document = read_yaml(yaml_file("a:\n  - {b: 𠮷}\n  - [c, 'd: e']\nf: |\n  one\n  two\n"))
    assert document.data == {"a": [{"b": "𠮷"}, ["c", "d: e"]], "f": "one\ntwo\n"}


def test_each_place_knows_its_line(yaml_file: WriteYaml) -> None:
    document = read_yaml(yaml_file("# note\na:\n  b:\n    - x\n    - y\nc: {d: 1,\n  e: 2}\n"))
    assert document.lines == {
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "b", 0): 4,
        ("a", "b", 1): 5,
        ("c",): 6,
        ("c", "d"): 6,
        ("c", "e"): 7,
    }


def test_a_problem_names_file_line_and_key_path(yaml_file: WriteYaml) -> None:
    document = read_yaml(yaml_file("a:\n  - b: 1\n"))
    assert document.problem(("a", 0, "b"), "expected 2") == "rules.yaml:2: a[0].b: expected 2"


def test_a_problem_about_something_absent_points_to_its_nearest_parent(yaml_file: WriteYaml) -> None:
    document = read_yaml(yaml_file("x: 1\na:\n  b: 1\n"))
    assert document.problem(("a", "c", "d"), "expected it") == "rules.yaml:2: a.c.d: expected it"


def test_the_hash_is_of_the_bytes_on_disk(yaml_file: WriteYaml) -> None:
    path = yaml_file("\ufeffa: 1\r\n")
    assert read_yaml(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_place_is_written_as_people_write_it() -> None:
    assert dotted(("fee_types", 3, "accounts", "*")) == "fee_types[3].accounts.*"


def test_a_repeated_key_is_refused_with_both_lines(yaml_file: WriteYaml) -> None:
    assert mistakes(yaml_file("a:\n  b: 1\n  c: 2\n  b: 3\n")) == ("rules.yaml:4: a.b: expected each key once, found it again (first on line 2)",)


def test_all_repeated_keys_are_reported_at_once(yaml_file: WriteYaml) -> None:
    assert [text.split(": ")[0] for text in mistakes(yaml_file("a: 1\na: 2\nb: 1\nb: 2\n"))] == [
        "rules.yaml:2",
        "rules.yaml:4",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: &x 1\n", "rules.yaml:1: expected a plain value, found the anchor &x; write values out"),
        ("a: &x {b: 1}\n", "rules.yaml:1: expected a plain value, found the anchor &x; write values out"),
        ("a: 1\nb: *x\n", "rules.yaml:2: expected the value itself, found the alias *x; write it out"),
        ("a: 1\n<<: {b: 2}\n", "rules.yaml:2: expected a key, found the merge key <<; write the keys out"),
        ("a: !!int 1\n", "rules.yaml:1: expected no tag, found tag:yaml.org,2002:int; the program knows the type"),
        (
            "a: !!python/object:os.system x\n",
            "rules.yaml:1: expected no tag, found tag:yaml.org,2002:python/object:os.system; the program knows the type",
        ),
        ("a: !secret x\n", "rules.yaml:1: expected no tag, found !secret; the program knows the type"),
        ("%YAML 1.1\n---\na: 1\n", "rules.yaml:2: expected no directive but %YAML 1.2, found another one"),
        ("a: 1\n---\nb: 2\n", "rules.yaml:2: expected one document, found a second one after ---"),
        ("- a\n- b\n", "rules.yaml:1: expected keys and values, found a list"),
        ("just text\n", "rules.yaml:1: expected keys and values, found 'just text'"),
        ("", "rules.yaml:1: expected keys and values, found nothing"),
        ("# only a comment\n", "rules.yaml:1: expected keys and values, found nothing"),
        ("a: 1\n? [b, c]\n: 2\n", "rules.yaml:1: expected YAML 1.2, found a list or mapping used as a key on line 2"),
    ],
)
def test_what_hides_the_meaning_of_a_file_is_refused(yaml_file: WriteYaml, content: str, expected: str) -> None:
    assert expected in mistakes(yaml_file(content))


@pytest.mark.parametrize(("content", "line"), [("a: 1\nb: [1, 2\nc: 3\n", 3), ("a: 1\n\tb: 2\n", 2), ("a: 'open\n", 2), ("a: b: c\n", 1)])
def test_broken_yaml_names_the_line(yaml_file: WriteYaml, content: str, line: int) -> None:
    (text,) = mistakes(yaml_file(content))
    assert text.startswith(f"rules.yaml:{line}: expected YAML 1.2, found ")


def test_control_characters_are_refused(yaml_file: WriteYaml) -> None:
    (text,) = mistakes(yaml_file("a: x\x00y\n"))
    assert text.startswith("rules.yaml:1: expected YAML 1.2, found ")


def test_a_file_that_is_not_utf8_names_the_line_and_the_byte(yaml_file: WriteYaml) -> None:
    assert mistakes(yaml_file("a: 1\nb: 中\n".encode("gb18030"))) == ("rules.yaml:2: expected UTF-8 text, found byte 0xd6",)


def test_an_alias_bomb_is_refused_without_being_unfolded(yaml_file: WriteYaml) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert any("found the alias *a28" in text for text in mistakes(yaml_file("\n".join(lines))))


def test_a_nesting_bomb_is_refused(yaml_file: WriteYaml) -> None:
    (text,) = mistakes(yaml_file("a: " + "[" * 5000))
    assert text == "rules.yaml:1: expected YAML 1.2, found more than 20 levels on line 1"


def test_a_file_beyond_the_size_limit_is_refused_without_parsing(yaml_file: WriteYaml) -> None:
    (text,) = mistakes(yaml_file("a: " + "x" * MAX_BYTES))
    assert text == "rules.yaml: expected at most 1,000,000 bytes; split the file"


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "rules.yaml") == ("rules.yaml: expected a readable file, found: No such file or directory",)
