"""The last stop of every error of the command line: one line and exit status 2, or a bug with its log and status 1."""

import os
import platform
import shlex
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

from simtrain.cli.console import TERMINAL, fail, message_of
from simtrain.failures import mendable, origins, own_line
from simtrain.own_code import ALLOW, CodeNotAllowedError, own_failure
from simtrain.version import VERSION

BUG = 1
"""Exit status of a bug."""

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT."""

CLOSED_PIPE = 141
"""Exit status where nobody reads the output any more: 128 + SIGPIPE, as a shell gives it."""


def end_with(error: Exception) -> NoReturn:
    """Tell an error and end the process: 2 for what the user can mend, 1 for a bug, 141 for a closed pipe."""
    if isinstance(error, BrokenPipeError) and error.filename is None:
        _leave_quietly()
    if any(isinstance(one, KeyboardInterrupt) for one in origins(error)):  # it met a library that was being imported
        TERMINAL.aside("interrupted")
        sys.exit(INTERRUPTED)
    found = own_failure(error) or mendable(error)
    if isinstance(found, CodeNotAllowedError):
        fail(message_of(found).replace(ALLOW, shlex.join(["simtrain", *sys.argv[1:], "--allow-code"])))
    if found is not None and found.told_elsewhere:
        sys.exit(2)
    if found is not None:
        fail(message_of(found))
    TERMINAL.aside(f"error: this is a bug, please report it: {type(error).__name__}: {own_line(error, to=200)}")
    report = _report(error)
    try:
        log = _written(report)
    except OSError:
        TERMINAL.aside(report)
    else:
        TERMINAL.aside(f"its log: {log}")
    sys.exit(BUG)


def _report(error: Exception) -> str:
    lines = [
        f"simtrain {VERSION}, Python {platform.python_version()}, {platform.platform()}",
        f"command: {' '.join(sys.argv)}",
        f"folder: {os.environ.get('PWD', '?')}",
        "",
        *traceback.format_exception(error),
    ]
    return "\n".join(lines)


def _written(report: str) -> Path:
    descriptor, name = tempfile.mkstemp(prefix="simtrain-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(report)
    return Path(name)


def _leave_quietly() -> NoReturn:
    """Without Python's own complaint about the output that it cannot flush."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    sys.exit(CLOSED_PIPE)
