"""What verbs print: a result as text or JSON, and what they tell while they work; the options that all verbs have."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typing_extensions import override

from simtrain.cli.console import TERMINAL, writes_unicode
from simtrain.console import Console, Step
from simtrain.files import json_text

Item = TypeVar("Item")
Verb = Callable[..., None]

STANDARD_OUTPUT = Path("-")
"""What `--json FILE` takes for standard output."""

_QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result, warnings and errors, and nothing else.")]
_JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and everything else on standard error.")]
_LOUD = ("warning: ", "error: ")


@dataclass(kw_only=True)
class _Wanted:
    """What the verb that is running was asked to print."""

    quiet: bool = False
    as_json: bool = False


_wanted = _Wanted()


class WorkConsole(Console):
    """What verbs tell while they work: on the terminal as it comes, or as `--quiet` and `--json` want it."""

    @override
    def line(self, text: str) -> None:
        if text.startswith(_LOUD) or not _wanted.quiet:
            (TERMINAL.aside if _wanted.as_json else TERMINAL.line)(text)

    @override
    def aside(self, text: str) -> None:
        if text.startswith(_LOUD) or not _wanted.quiet:
            TERMINAL.aside(text)

    @override
    def bar(self, items: Iterable[Item], total: int, description: str) -> Iterable[Item]:
        return items if _wanted.quiet else TERMINAL.bar(items, total, description)

    @override
    def step(self, step: Step) -> None:
        if not _wanted.quiet:
            TERMINAL.step(step)


WORK = WorkConsole()


def show(result: object, *, also: Sequence[str] = ()) -> None:
    """Print a verb's result, once it is there.

    Args:
        result: Its text is printed; with `--json` what `plain` makes of it.
        also: Lines after the text, such as the files that were written.
    """
    if _wanted.as_json:
        show_json(result)
        return
    TERMINAL.line(str(result))
    for line in also:
        WORK.line(line)


def show_json(result: object) -> None:
    """Print a result as JSON on standard output."""
    print(json_text(plain(result), ascii_only=not writes_unicode()), flush=True)


def plain(value: Any) -> Any:
    """Values that JSON holds: what `to_dict` gives where there is one, else the fields of a dataclass by their names.

    Raises:
        TypeError: for a value that is neither.
    """
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"value: JSON holds no {type(value).__name__}")


def verb(app: typer.Typer, name: str, *, as_json: bool = True) -> Callable[[Verb], Verb]:
    """Register a function as a verb of the command line, with the options that all verbs have.

    Args:
        app: Where it belongs.
        name: The verb.
        as_json: Whether `--json` prints its result; not for verbs without one, or with a `--json FILE`.
    """

    def register(function: Verb) -> Verb:
        app.command(name)(with_output_options(function, as_json=as_json))
        return function

    return register


def with_output_options(function: Verb, *, as_json: bool) -> Verb:
    """A function as Typer takes it, with `--quiet` and perhaps `--json` after its own parameters."""
    options: dict[str, Any] = {"quiet": _QUIET, **({"as_json": _JSON} if as_json else {})}

    @functools.wraps(function)
    def called(*arguments: Any, **given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        _wanted.quiet = chosen["quiet"]
        _wanted.as_json = chosen.get("as_json", given.get("json_file") == STANDARD_OUTPUT)
        try:
            function(*arguments, **given)
        finally:
            _wanted.quiet = _wanted.as_json = False

    signature = inspect.signature(function)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in options.items()
    ]
    called.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])  # type: ignore[attr-defined]
    called.__annotations__ = {**function.__annotations__, **options}
    return called
