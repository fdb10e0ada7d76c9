"""Errors of the operating system and of libraries, told as errors that a user can mend."""

import csv
import errno
import json
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import yaml

from simtrain.errors import SimtrainError, first_line
from simtrain.phrases import shortened

_INPUT_LIBRARIES = {
    "pyarrow", "PIL", "safetensors", "safetensors_rust", "yaml", "zipfile", "lzma", "huggingface_hub", "httpx",
    "requests", "urllib3", "onnx", "onnxruntime", "kaggle", "openpyxl",
}  # fmt: skip
"""Libraries that read what others wrote, or talk to the network: what they raise is about that."""

_INPUT_ERRORS = (
    UnicodeError, json.JSONDecodeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, yaml.YAMLError, csv.Error,
)  # fmt: skip
_NULL_IN_A_PATH = ("embedded null byte", "embedded null character")
_OWN = "simtrain"
_NO_NUMBER = re.compile(r"invalid literal for int\(\) with base 10: '(.+)'")
_ABOUT_THE_MACHINE = {
    "Could not determine home directory": "there is no home folder here; set HOME",
    "DataLoader worker": "a process that loads images ended; out of memory perhaps: try --set data.workers=0",
    "unable to open shared memory": "shared memory is full or forbidden; try --set data.workers=0",
    "unable to mmap": "memory is full; try smaller batches or fewer processes",
    "CUDA error": "the GPU failed",
    "CUDA driver": "the GPU's driver does not fit",
    "NCCL": "the GPUs could not talk to each other",
    "[enforce fail at alloc_cpu": "out of memory; try --set data.batch_size with less, or fewer processes",
}
"""How torch's messages about the machine begin -> what they mean."""


def mendable(error: BaseException) -> SimtrainError | None:
    """What a user can do about an error: one line that names what it is about; None: it is a bug.

    Args:
        error: As it was caught, with its traceback.
    """
    if isinstance(error, SimtrainError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return SimtrainError(f"out of memory{_reason(error)}; try smaller batches, or a smaller image size")
    if isinstance(error, OSError):
        return SimtrainError(_told(error))
    if isinstance(error, ValueError) and str(error) in _NULL_IN_A_PATH:
        return SimtrainError(f"{_place(error)}a path holds a null character, which no path can")
    if isinstance(error, ValueError) and (told := _of_the_environment(error)) is not None:
        return SimtrainError(told)
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] != _OWN:
        return SimtrainError(
            f"a library cannot be loaded ({own_line(error)}): it is not installed whole, does not fit the others, or "
            "there is too little memory"
        )
    library = type(error).__module__.partition(".")[0]
    if isinstance(error, _INPUT_ERRORS) or library in _INPUT_LIBRARIES:
        return SimtrainError(f"{_place(error)}{type(error).__name__}: {own_line(error)}")
    if isinstance(error, RecursionError) and "JSON" in str(error):
        return SimtrainError(f"{_place(error)}JSON that is nested too deeply to be read")
    if isinstance(error, RuntimeError):
        for beginning, meaning in _ABOUT_THE_MACHINE.items():
            if beginning in str(error):
                return SimtrainError(f"{meaning} ({own_line(error)})")
    return None


@contextmanager
def damage_told(path: Path, *, error: type[SimtrainError], advice: str = "") -> Iterator[None]:
    """Whatever goes wrong while a file's content is taken apart is damage of the file, and told as such.

    Args:
        path: The file.
        error: Raised with the path and the reason.
        advice: What to do, such as `; export the bundle again`.
    """
    try:
        yield
    except (SimtrainError, OSError, MemoryError):
        raise
    except Exception as failure:
        reason = f"{type(failure).__name__}: {own_line(failure, to=160)}"
        raise error(f"{path}: damaged: {reason}{advice}") from failure


def own_line(error: BaseException, *, to: int | None = None) -> str:
    """The line of an exception's message that says what happened: the last one where it carries a traceback along.

    Cut to `to` characters where that is given.
    """
    text = str(error).strip()
    if "Traceback (most recent call last)" in text:
        last = text.splitlines()[-1].strip()
        return last if to is None else shortened(last, to=to)
    return first_line(error, to=to) if isinstance(error, Exception) else type(error).__name__


def _told(error: OSError) -> str:
    name = error.filename if error.filename is not None else error.filename2
    if isinstance(name, bytes):
        name = name.decode(errors="backslashreplace")
    reason = error.strerror or own_line(error)
    where = f"{name}: " if isinstance(name, str) and name else _place(error)
    more = "; there is no space left" if error.errno == errno.EDQUOT else ""
    return f"{where}{reason}{more}"


def _of_the_environment(error: ValueError) -> str | None:
    """What is wrong with a variable that a library, not our code, wanted a number of; None: it is something else."""
    text = _NO_NUMBER.fullmatch(str(error))
    if text is None or _modules(error)[-1:] == [_OWN]:
        return None
    names = sorted(name for name, value in os.environ.items() if value == text[1])
    if not names:
        return None
    return f"{names[0]}={text[1]}: the environment holds no whole number there; to go on without it: unset {names[0]}"


def _modules(error: BaseException) -> list[str]:
    """The package of each frame of an exception's traceback, outermost first."""
    found, traceback = [], error.__traceback__
    while traceback is not None:
        found.append(str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0])
        traceback = traceback.tb_next
    return found


def _reason(error: BaseException) -> str:
    line = own_line(error)
    return f" ({shortened(line, to=160)})" if line and line != type(error).__name__ else ""


def _place(error: BaseException) -> str:
    """`PATH: ` for what our code was about, innermost first; empty where it held no path."""
    for frame in reversed(list(_own_frames(error))):
        for value in frame.f_locals.values():
            if isinstance(value, Path):
                return f"{value}: "
    return ""


def _own_frames(error: BaseException) -> Iterator[FrameType]:
    traceback = error.__traceback__
    while traceback is not None:
        if str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == _OWN:
            yield traceback.tb_frame
        traceback = traceback.tb_next


def origins(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it comes from, one after the other."""
    seen = set[int]()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        yield one
        seen.add(id(one))
        one = one.__cause__ or one.__context__
