"""A kind of objective is named in its configuration class and where it is built, nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import simtrain
from simtrain.config.objective import ObjectiveConfig

PACKAGE = Path(simtrain.__file__).parent
KINDS = get_args(get_args(ObjectiveConfig)[0])


PARSED = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name


def asks_for_kind(tree: ast.AST) -> Iterator[str]:
    """Comparisons and `match` statements over `objective.kind` or the like."""
    for node in ast.walk(tree):
        asked = node.subject if isinstance(node, ast.Match) else node if isinstance(node, ast.Compare) else None
        if asked is not None and "objective.kind" in ast.unparse(asked):
            yield ast.unparse(asked)


def test_there_are_kinds_and_files_to_look_at():
    assert len(KINDS) >= 4
    assert len(PARSED) > 200


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_class_of_an_objective_is_named_in_two_files(kind: type):
    files = [file for file, tree in PARSED.items() if kind.__name__ in names_in(tree)]
    assert files == ["builders/objective.py", "config/objective.py"]


def test_nobody_asks_for_the_kind_of_an_objective():
    assert [question for tree in PARSED.values() for question in asks_for_kind(tree)] == []
