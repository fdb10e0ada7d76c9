"""Output of the command line: its terminal and its errors."""

import re
import sys
from typing import NoReturn

from simtrain.console import TERMINAL as TERMINAL
from simtrain.errors import SimtrainError


def fail(message: str) -> NoReturn:
    """A line on standard error and exit status 2."""
    TERMINAL.aside(f"error: {message}")
    sys.exit(2)


def message_of(error: SimtrainError) -> str:
    """The message itself: a loading process sends its whole traceback, with the message at its end."""
    text = str(error)
    return re.split(r"\nsimtrain\.errors\.\w+: ", text)[-1].strip() if text.startswith("Caught ") else text
