"""Import of the user's own code by its path `module:attribute`, and the permission to import it."""

import importlib
import importlib.metadata
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from simtrain.errors import ConfigError, SimtrainError, nearest
from simtrain.files import sha256_if_readable

ALLOW = "allow_code=True"
"""What allows code in Python; it ends the refusal, and the command line puts its own command in its place."""

_LONGEST_SIGNATURE = 120
_allowed: ContextVar[bool] = ContextVar("allowed", default=False)
_imported: set[str] = set()  # top-level packages and modules of the user's own


class CodeNotAllowedError(ConfigError):
    """A file names code, and the user has not said that it may be imported."""


@contextmanager
def code_allowed(allowed: bool) -> Iterator[None]:
    """Within, code that files name may be imported; what is allowed around it stays allowed.

    Args:
        allowed: Whether the user has said so.
    """
    token = _allowed.set(allowed or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


def is_code_allowed() -> bool:
    """Whether code that files name may be imported here."""
    return _allowed.get()


def refused(target: str, *, file: str) -> CodeNotAllowedError:
    """The refusal of code that a file names."""
    return CodeNotAllowedError(
        f"{file} names the code {target}, which is imported only if you allow it: {ALLOW}", argument="target"
    )


def import_target(target: str) -> Any:
    """What a path `module:attribute` stands for. The caller has seen to the permission.

    Raises:
        ConfigError: of the argument `target`, if there is no such module or attribute.
        Exception: that the module raises while it is imported.
    """
    name, _, attributes = target.partition(":")
    if not name or not attributes:
        raise ConfigError(f"'{target}': expected MODULE:NAME, such as my_package.module:MyClass", argument="target")
    _imported.add(name.partition(".")[0])
    found: Any = _module(name, target)
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            known = nearest(attribute, [each for each in dir(found) if not each.startswith("_")])
            raise ConfigError(f"{target}: '{name}' has no '{attribute}'{known}", argument="target")
        found = getattr(found, attribute)
    return found


def called(function: Any, parameters: Mapping[str, Any], *, target: str) -> Any:
    """What a class or function gives for keyword arguments.

    Raises:
        ConfigError: of the argument `parameters`, if it does not take them.
        Exception: that the function raises.
    """
    check_arguments(function, (), parameters, target=target)
    with code_of(target):
        return function(**parameters)


def check_arguments(function: Any, positional: tuple[Any, ...], named: Mapping[str, Any], *, target: str) -> None:
    """Refuse arguments that a function or class does not take, without calling it.

    Raises:
        ConfigError: of the argument `parameters`.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of built-in code, which says by itself what it does not take
        return
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        shown = str(signature) if len(str(signature)) <= _LONGEST_SIGNATURE else "(…)"
        raise ConfigError(f"{target}{shown}: {error}", argument="parameters") from None


@contextmanager
def code_of(target: str) -> Iterator[None]:
    """Exceptions within, but for our own errors, are marked as of the user's code."""
    try:
        yield
    except SimtrainError:
        raise
    except Exception as error:
        error.add_note(f"{_NOTE}{target}")
        raise


_NOTE = "raised by your own code, not by simtrain: "


def whose_code(error: BaseException) -> str | None:
    """The class or function of the user's own that an exception comes from, `module:name`; None: it is of none."""
    for note in getattr(error, "__notes__", ()):
        if note.startswith(_NOTE):
            return str(note.removeprefix(_NOTE))
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if _is_own(frame)]
    return f"{frames[-1].f_globals['__name__']}:{frames[-1].f_code.co_qualname}" if frames else None


def _is_own(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _imported


def own_failure(error: BaseException) -> SimtrainError | None:
    """An exception of the user's code, told with its own traceback; None for others, and where memory is short."""
    target = whose_code(error)
    short_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if target is None or short_of_memory or isinstance(error, SimtrainError):
        return None
    return SimtrainError(f"{target} raised {type(error).__name__}; this is its own traceback:\n{_own_traceback(error)}")


def _own_traceback(error: BaseException) -> str:
    """From the first line of the user's code on; all of it where there is none."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    first = next((place for place, frame in enumerate(frames) if _is_own(frame)), 0)
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list(shown.stack[first:])
    shown.__notes__ = []
    return "".join(shown.format()).rstrip()


def line_of(error: BaseException) -> str:
    """File and line of the user's code where an exception was raised, ` (my_module.py, line 3)`; empty elsewhere."""
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if _is_own(frame):
            found = f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return found


def code_record(target: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Which code was imported, as plain values: path, arguments, the module file's SHA-256, package and version."""
    name = target.partition(":")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    root = name.partition(".")[0]
    packages = importlib.metadata.packages_distributions().get(root, [])
    return {
        "target": target,
        "parameters": dict(parameters),
        "file": file,
        "sha256": sha256_if_readable(Path(file)) if file is not None else None,
        "package": packages[0] if packages else None,
        "version": importlib.metadata.version(packages[0]) if packages else None,
    }


def path_of(thing: Any) -> str:
    """`module:qualified.name` of a class or function, or of an object's class."""
    named = thing if inspect.isclass(thing) or inspect.isfunction(thing) else type(thing)
    return f"{named.__module__}:{named.__qualname__}"


def is_importable(thing: Any) -> bool:
    """Whether a class or function is what its path stands for, in every process that can import its module."""
    name, _, attributes = path_of(thing).partition(":")
    found: Any = sys.modules.get(name)
    if name == "__main__":
        return False
    for attribute in attributes.split("."):
        found = getattr(found, attribute, None)
    return found is thing


def _module(name: str, target: str) -> ModuleType:
    try:
        with code_of(target):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # it is found, and does not find what it imports itself
        raise ConfigError(
            f"{target}: there is no module '{error.name}' among the installed packages and in PYTHONPATH; of a module "
            "in this folder type: PYTHONPATH=. simtrain …",
            argument="target",
        ) from None
