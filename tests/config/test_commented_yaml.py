"""YAML with comments is the same values as without."""

from pathlib import Path
from typing import Any

import pytest

from simtrain.config.commented_yaml import commented_yaml
from simtrain.config.yaml_text import parse_yaml


def test_values_are_read_as_they_were() -> None:
    tree: dict[str, Any] = {
        "catalog": "my: shop #1",
        "odd": "two\nlines",
        "number": "1e-4",
        "small": 1e-4,
        "nothing": None,
        "empty": {},
        "encoder": {"kind": "timm", "inner": {"on": True, "sizes": [128, 224]}},
        "objective": {"levels": [{"column": "label", "weight": 0.2}], "templates": ["{caption}"]},
    }
    comments = {"encoder": "long " * 60, "encoder.inner.on": "why: # not", "odd": "here"}
    text = commented_yaml(tree, comments, heading="One.\nTwo: #.")
    assert parse_yaml(text) == tree
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(("width", "beside"), [(20, True), (120, False)])
def test_a_comment_stands_beside_its_key_where_it_fits(width: int, beside: bool) -> None:
    text = commented_yaml({"seed": 1}, {"seed": "x" * width}, heading="H")
    lines = text.splitlines()
    assert lines == (["# H", f"seed: 1 # {'x' * 20}"] if beside else ["# H", *lines[1:-1], "seed: 1"])
    assert all(line.startswith("# ") for line in lines[:-1])


def test_lists_stand_in_one_line_and_sections_apart() -> None:
    text = commented_yaml({"a": {"b": [{"c": 1, "d": [2, 3]}]}, "e": 4}, {"a.b": "why"}, heading=str(Path("x")))
    assert text == "# x\n\na:\n  b: [{c: 1, d: [2, 3]}] # why\n\ne: 4\n"
