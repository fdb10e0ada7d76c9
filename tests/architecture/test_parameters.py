"""No function has more than six parameters; what needs more takes an object, but for Typer and what is public."""

import ast
import inspect
from pathlib import Path

import simtrain
from simtrain.cli import app

MOST = 6
PUBLIC = "public, and whatever a newcomer may leave out is a keyword with a default"
EXCEPTIONS = {
    "api/compare.py: compare": PUBLIC,
    "api/embed.py: embed": PUBLIC,
    "api/evaluate.py: evaluate": PUBLIC,
    "api/fit.py: fit": PUBLIC,
    "api/index.py: add": PUBLIC,
    "api/index.py: update": PUBLIC,
    "api/interpolate.py: interpolate": PUBLIC,
    "api/prepare.py: prepare": PUBLIC,
    "api/serve.py: serve": PUBLIC,
    "api/export.py: export": PUBLIC,
    "api/sweep.py: sweep": PUBLIC,
    "evaluation/retrieval_metrics.py: retrieval_metrics": PUBLIC,
}
"""Function -> the reason why it has more."""

ROOT = Path(simtrain.__file__).parent


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Number of its parameters, without `self` and `cls`."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    variadic = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return len([one for one in named if one.arg not in ("self", "cls")]) + len(variadic)


def typer_commands() -> set[tuple[Path, str]]:
    """Files and names of the commands: Typer makes one option of each parameter."""
    groups = [group.typer_instance for group in app.registered_groups if group.typer_instance is not None]
    commands = [command for each in (app, *groups) for command in each.registered_commands]
    callbacks = [inspect.unwrap(command.callback) for command in commands if command.callback is not None]
    return {(Path(callback.__code__.co_filename).resolve(), callback.__name__) for callback in callbacks}


def test_functions_have_six_parameters_at_most() -> None:
    commands = typer_commands()
    assert ((ROOT / "cli" / "compare.py").resolve(), "compare") in commands
    counted, found = 0, []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                counted += 1
                if parameters(node) > MOST and (path.resolve(), node.name) not in commands:
                    found.append(f"{path.relative_to(ROOT).as_posix()}: {node.name}")
    assert counted > 2000
    assert [name for name in found if name not in EXCEPTIONS] == []


def test_exceptions_are_public_and_take_their_options_by_keyword() -> None:
    for name in EXCEPTIONS:
        file, own_name = name.split(": ")
        public = getattr(simtrain, Path(file).stem)
        function = public if callable(public) else getattr(public, own_name)
        given = list(inspect.signature(function).parameters.values())
        options = [option for option in given if option.kind is option.KEYWORD_ONLY]
        assert len(given) - len(options) <= 3
        assert all(option.default is not option.empty for option in options)
