"""Errors of the system and of libraries: which of them a user can mend, and what is said of them."""

import csv
import errno
import importlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch
import yaml
from lightning_fabric.utilities.rank_zero import _get_rank
from safetensors import SafetensorError

from simtrain.errors import CatalogError
from simtrain.failures import mendable, origins, own_line


def told(error: Exception) -> str:
    found = mendable(error)
    assert found is not None
    return str(found)


def test_error_of_ours_stays_what_it_is() -> None:
    error = CatalogError("no images")
    assert mendable(error) is error


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOLCK, "No locks available"),
        (errno.EIO, "Input/output error"),
        (errno.ENOSPC, "No space left on device"),
        (errno.ESTALE, "Stale file handle"),
        (errno.ELOOP, "Too many levels of symbolic links"),
    ],
)
def test_error_of_the_system_names_its_file(number: int, reason: str) -> None:
    assert told(OSError(number, reason, "shop/x")) == f"shop/x: {reason}"


@pytest.mark.parametrize("use", [Path.resolve, Path.stat, Path.read_bytes])
def test_a_name_that_no_path_can_have_is_told(use: Callable[[Path], object]) -> None:
    with pytest.raises(ValueError, match="embedded null") as caught:
        use(Path("a\0b"))
    assert told(caught.value) == "a path holds a null character, which no path can"


def test_error_of_the_system_without_a_file() -> None:
    assert told(OSError(errno.EMFILE, "Too many open files")) == "Too many open files"


@pytest.mark.parametrize(
    "error",
    [
        pa.ArrowInvalid("magic bytes"),
        SafetensorError("header too large"),
        yaml.YAMLError("tab"),
        json.JSONDecodeError("Expecting value", "x", 0),
        csv.Error("line contains NUL"),
        zipfile.BadZipFile("no zip"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
)
def test_error_about_a_file_of_others_is_told(error: Exception) -> None:
    assert told(error) == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    ("error", "beginning"),
    [
        (MemoryError(), "out of memory; try smaller batches"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory (CUDA out of memory. Tried); try"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "a process that loads images ended"),
        (RuntimeError("CUDA error: device-side assert triggered"), "the GPU failed (CUDA error: "),
        (RuntimeError("unable to open shared memory object </torch_7>"), "shared memory is full or forbidden"),
    ],
)
def test_error_about_the_machine_is_told(error: Exception, beginning: str) -> None:
    assert told(error).startswith(beginning)


def test_a_variable_that_a_library_cannot_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "odd")
    with pytest.raises(ValueError, match="odd") as caught:
        _get_rank()
    assert told(caught.value) == (
        "RANK=odd: the environment holds no whole number there; to go on without it: unset RANK"
    )
    assert mendable(ValueError("invalid literal for int() with base 10: 'none has it'")) is None


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
        ImportError("/x/_imaging.so: failed to map segment from shared object"),
        ImportError("cannot import name 'x' from 'transformers'", name="transformers"),
        ModuleNotFoundError("No module named 'requests'", name="requests"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_told(error: ImportError) -> None:
    assert told(error) == (
        f"a library cannot be loaded ({error}): it is not installed whole, does not fit the others, or there is too "
        "little memory"
    )


def test_a_module_of_ours_that_is_not_there_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("simtrain.no_such_module")
    assert mendable(caught.value) is None


def test_json_without_end_is_told(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(RecursionError) as caught:
        json.loads((tmp_path / "deep.json").read_text())
    assert told(caught.value) == "JSON that is nested too deeply to be read"
    assert mendable(RecursionError("maximum recursion depth exceeded")) is None


@pytest.mark.parametrize("error", [ValueError("k is 0"), KeyError("x"), RuntimeError("shape"), TypeError("None")])
def test_anything_else_is_a_bug(error: Exception) -> None:
    assert mendable(error) is None


def test_path_that_our_code_held_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simtrain.parquet import read_table

    path = tmp_path / "x.parquet"
    path.write_bytes(b"no parquet at all")
    with pytest.raises(pa.ArrowInvalid) as caught:
        read_table(path)
    assert told(caught.value).startswith(f"{path}: ArrowInvalid: ")


def test_message_of_a_loading_process_is_its_last_line() -> None:
    error = ValueError("Caught ValueError in process 0.\nTraceback (most recent call last):\n  File\nValueError: why\n")
    assert own_line(error) == "ValueError: why"


def test_an_error_is_followed_to_what_it_comes_from_and_round_in_no_circle() -> None:
    first, second, third = ValueError("1"), TypeError("2"), OSError("3")
    first.__context__, second.__cause__ = second, third
    assert list(origins(first)) == [first, second, third]
    third.__context__ = first
    assert list(origins(first)) == [first, second, third]
