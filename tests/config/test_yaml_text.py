"""YAML as plain values: bombs, tags and numbers that no configuration has are refused quickly."""

import tracemalloc
from pathlib import Path

import pytest

from simtrain.config.yaml_text import dump_plain, parse_yaml, read_yaml
from simtrain.errors import ConfigError


def bomb(levels: int, *, merged: bool) -> str:
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels):
        parts = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {{<<: [{parts}]}}" if merged else f"a{level}: &a{level} [{parts}]")
    return "\n".join(lines)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text)
    return str(caught.value)


@pytest.mark.parametrize("merged", [False, True])
def test_bomb_of_anchors_takes_no_memory(merged: bool) -> None:
    tracemalloc.start()
    told = refusal(bomb(40, merged=merged))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told == "more than 100000 values once its anchors are written out"
    assert peak < 20_000_000


def test_anchors_that_do_not_grow_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]\n") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}


def test_anchor_that_holds_itself_is_refused() -> None:
    assert refusal("a: &a [*a]") == "an anchor that holds itself"
    assert refusal("&a {b: {c: *a}}") == "an anchor that holds itself"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-13-45", "not YAML: month must be in 1..12"),
        ("9" * 5000, "not YAML: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits;"),
        ("0x" + "f" * 5000, "a whole number of more than 4000 digits"),
        ("-0x" + "f" * 5000, "a whole number of more than 4000 digits"),
        ("!!bool maybe", "not YAML: 'maybe'"),
        ("!!timestamp soon", "not YAML: 'NoneType' object has no attribute 'groupdict'"),
        ("!!binary aGVsbG8=", "holds more than text, numbers, lists and sections: a bytes"),
        ("!!set {a, b}", "holds more than text, numbers, lists and sections: a set"),
        ("[" * 1000, "not YAML: maximum recursion depth exceeded"),
    ],
)
def test_what_no_configuration_holds_is_refused(text: str, told: str) -> None:
    assert refusal(text).startswith(told.rstrip(";"))


def test_keys_are_text() -> None:
    assert parse_yaml("{1: a, no: b, null: c, 2024-01-02: d}") == {
        "1": "a",
        "false": "b",
        "null": "c",
        "2024-01-02": "d",
    }


def test_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a" * 1_000_001, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path}: more than 1000000 bytes; no configuration is so large"


def test_device_without_an_end_is_no_configuration() -> None:
    with pytest.raises(ConfigError, match=r"^/dev/zero: more than 1000000 bytes"):
        read_yaml(Path("/dev/zero"))


def test_line_ends_of_windows(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: 1\r\nb: |\r\n  x\r\n  y\r\n")
    assert read_yaml(tmp_path / "x.yaml") == {"a": 1, "b": "x\ny\n"}


@pytest.mark.parametrize("value", ["1e-4", "2024", "no", "2024-01-02", "", " a ", "a: b #c", "😀", 1e-4, True, None])
def test_dumped_value_is_read_as_it_was(value: object) -> None:
    assert parse_yaml(dump_plain({"x": value})) == {"x": value}
