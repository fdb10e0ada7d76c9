"""Errors that a user can fix. Each is shown in one or two lines without traceback, with exit status 2."""

import difflib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from simtrain.phrases import shortened

_REASONS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)


class SimtrainError(Exception):
    """Something the user can fix; the message says where, what was found and what is allowed.

    Args:
        problem: The message without the argument's name.
        argument: The argument at fault, by its own name where the error is raised; it opens the message. Empty: all of
            what `error_path` calls the arguments; None: no argument is at fault.

    Attributes:
        argument: The same, by the name that the user knows as soon as an `error_path` has been passed.
        told_elsewhere: Whether the first process of a run, or of its machine, tells it, and this one need not.
    """

    told_elsewhere = False

    def __init__(self, problem: str, *, argument: str | None = None) -> None:
        super().__init__(problem)
        self.argument = argument

    def __str__(self) -> str:
        problem = super().__str__()
        return f"{self.argument}: {problem}" if self.argument else problem


class ConfigError(SimtrainError):
    """A configuration that does not fit the schema or the machine."""


class CatalogError(SimtrainError):
    """A source, a catalogue or an image in it that cannot be used as asked."""


class CheckpointError(SimtrainError):
    """A run folder, a checkpoint or a weights file that is not what it should be."""


class BundleError(SimtrainError):
    """An exported bundle that is incomplete, altered or mismatched."""


@contextmanager
def error_path(path: str, *, names: Mapping[str, str] | None = None, whole: bool = False) -> Iterator[None]:
    """Errors raised within name their argument as the user knows it: below a path such as `encoder`.

    It nests: a wrong `model` within `error_path("image")` within `error_path("encoder")` is `encoder.image.model`.

    Args:
        path: Goes before each argument; empty: nothing does.
        names: Argument -> the name that it has instead; with an empty path, arguments that are not in it stay.
        whole: Whether an error without an argument is about the path as a whole.

    Example:
        >>> with error_path("trainer", names={"count": "devices"}):
        ...     raise ConfigError("got 8, but there are 2", argument="count")
        Traceback (most recent call last):
        simtrain.errors.ConfigError: trainer.devices: got 8, but there are 2
    """
    try:
        yield
    except SimtrainError as error:
        if error.argument is not None:
            first, dot, rest = error.argument.partition(".")
            renamed = (names or {}).get(first, first) + dot + rest
            error.argument = ".".join(part for part in (path, renamed) if part)
        elif whole:
            error.argument = path
        raise


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the allowed name nearest to a misspelt one, or nothing where none is near."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def system_reason(error: Exception) -> str:
    """Why the system refused, such as `No space left on device`, also where a library has wrapped that in other words.

    The first line of the message where it is nothing of the system's.
    """
    for number in _REASONS:
        if os.strerror(number) in str(error):
            return os.strerror(number)
    return getattr(error, "strerror", None) or first_line(error)


def first_line(error: Exception, *, to: int | None = None) -> str:
    """The first line of an exception's message, or its kind where it has none: what fits into a message of ours.

    Cut to `to` characters where that is given.
    """
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if to is None else shortened(line, to=to)
