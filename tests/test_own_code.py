"""Import of code by its path, permission for it, and whose code an exception is of."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from own_modules import OwnModule

from simtrain.errors import ConfigError, SimtrainError
from simtrain.own_code import (
    called,
    code_allowed,
    code_record,
    import_target,
    is_code_allowed,
    is_importable,
    line_of,
    own_failure,
    path_of,
    whose_code,
)

CONTENT = """
class Outer:
    class Inner:
        pass

def takes(width, *, depth=2):
    return width + depth

def fails():
    return 1 / 0

NUMBER = 3
"""


@pytest.fixture
def module(tmp_path: Path):
    with OwnModule(tmp_path, CONTENT).importable() as made:
        yield made


def test_a_path_stands_for_an_attribute_and_for_one_within(module: OwnModule):
    assert import_target(module.target("NUMBER")) == 3
    assert import_target(module.target("Outer.Inner")).__qualname__ == "Outer.Inner"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.at.all:X", "target: nowhere.at.all:X: there is no module 'nowhere' among the installed packages and "
         "in PYTHONPATH; of a module in this folder type: PYTHONPATH=. simtrain …"),
        ("json.nowhere:X", "target: json.nowhere:X: there is no module 'json.nowhere' among"),
        ("json:lods", "target: json:lods: 'json' has no 'lods'; did you mean 'loads'?"),
        ("json:loads.deeper", "target: json:loads.deeper: 'json' has no 'deeper'"),
        ("json", "target: 'json': expected MODULE:NAME, such as my_package.module:MyClass"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(target: str, message: str):
    with pytest.raises(ConfigError) as caught:
        import_target(target)
    assert str(caught.value).startswith(message)


def test_a_module_that_does_not_find_what_it_imports_itself_shows_its_own_error(tmp_path: Path):
    with OwnModule(tmp_path, "import not_installed_anywhere\n").importable() as made:
        with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere") as caught:
            import_target(made.target("X"))
        assert whose_code(caught.value) == made.target("X")


def test_a_module_that_is_no_python_is_its_own_error(tmp_path: Path):
    with OwnModule(tmp_path, "def broken(:\n").importable() as made:
        with pytest.raises(SyntaxError) as caught:
            import_target(made.target("X"))
        assert whose_code(caught.value) == made.target("X")


def test_arguments_are_checked_before_the_call(module: OwnModule):
    takes = import_target(module.target("takes"))
    assert called(takes, {"width": 1, "depth": 4}, target=module.target("takes")) == 5
    for parameters, reason in (({}, "missing a required argument: 'width'"), ({"width": 1, "x": 2}, "'x'")):
        with pytest.raises(ConfigError) as caught:
            called(takes, parameters, target="m:takes")
        assert str(caught.value).startswith("parameters: m:takes(width, *, depth=2): ")
        assert reason in str(caught.value)


def raised(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_an_exception_of_the_users_code_is_told_from_its_first_line_on(module: OwnModule):
    error = raised(import_target(module.target("fails")))
    assert whose_code(error) == module.target("fails")
    assert line_of(error) == f" ({module.name}.py, line 10)"
    told = str(own_failure(error)).splitlines()
    assert told[0] == f"{module.target('fails')} raised ZeroDivisionError; this is its own traceback:"
    assert told[1] == "Traceback (most recent call last):"
    assert f"{module.name}.py" in told[2]
    assert told[-1] == "ZeroDivisionError: division by zero"


def test_other_exceptions_are_nobodys():
    error = raised(lambda: [][0])
    assert whose_code(error) is None
    assert own_failure(error) is None
    assert line_of(error) == ""


def test_short_memory_and_our_own_errors_stay_what_they_are(tmp_path: Path):
    content = (
        "from simtrain.errors import SimtrainError\ndef a(): raise MemoryError\ndef b(): raise SimtrainError('x')\n"
    )
    with OwnModule(tmp_path, content).importable() as made:
        for name in ("a", "b"):
            assert own_failure(raised(import_target(made.target(name)))) is None


def test_permission_holds_within_and_is_not_taken_back_inside():
    assert not is_code_allowed()
    with code_allowed(True), code_allowed(False):
        assert is_code_allowed()
    assert not is_code_allowed()
    with pytest.raises(SimtrainError), code_allowed(True):
        raise SimtrainError("x")
    assert not is_code_allowed()


def test_the_record_names_file_and_package(module: OwnModule):
    import hashlib

    import_target(module.target("NUMBER"))
    record = code_record(module.target("NUMBER"), {"a": 1})
    file = module.folder / f"{module.name}.py"
    assert record == {
        "target": module.target("NUMBER"),
        "parameters": {"a": 1},
        "file": str(file),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "package": None,
        "version": None,
    }
    packaged = code_record("yaml:safe_load", {})
    import importlib.metadata

    assert (packaged["package"], packaged["version"]) == ("PyYAML", importlib.metadata.version("PyYAML"))


def test_the_record_of_what_was_not_imported_imports_nothing(tmp_path: Path):
    with OwnModule(tmp_path).importable() as made:
        assert code_record(made.target("MyEncoder"), {})["file"] is None
        assert not made.was_imported
        assert made.name not in sys.modules


def test_paths_of_classes_functions_and_objects():
    assert path_of(OwnModule) == "own_modules:OwnModule"
    assert path_of(traceback.format_exc) == "traceback:format_exc"
    assert path_of(ConfigError("x")) == "simtrain.errors:ConfigError"
    assert is_importable(traceback.format_exc)
    assert not is_importable(lambda: 0)
    assert not is_importable(ConfigError("x"))
