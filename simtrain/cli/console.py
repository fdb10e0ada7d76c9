"""Output of the command line: its terminal, its errors, and what may not be on it."""

import io
import os
import re
import sys
import warnings
from typing import NoReturn

from simtrain.console import TERMINAL as TERMINAL
from simtrain.errors import SimtrainError


def set_up_output() -> None:
    """Characters that the terminal does not know become escapes; warnings of libraries stay off it.

    What a shell or a service has closed (`>&-`) goes nowhere, instead of into the next file that is opened.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:  # python -W shows them
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of the processes that are started


def writes_unicode() -> bool:
    """Whether standard output takes every character: an escape of Python's would break JSON."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def fail(message: str) -> NoReturn:
    """A line on standard error and exit status 2."""
    TERMINAL.aside(f"error: {message}")
    sys.exit(2)


def message_of(error: SimtrainError) -> str:
    """The message itself: a loading process sends its whole traceback, with the message at its end."""
    text = str(error)
    return re.split(r"\nsimtrain\.errors\.\w+: ", text)[-1].strip() if text.startswith("Caught ") else text
