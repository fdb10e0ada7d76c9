import pickle

import pytest

from simtrain.errors import CheckpointError, ConfigError, SimtrainError, error_path, first_line, system_reason


def told(error: SimtrainError, *paths: tuple[str, dict[str, str] | None, bool]) -> str:
    """The message of an error that is raised within error paths, the innermost first."""
    for path, names, whole in paths:
        with pytest.raises(type(error)) as raised, error_path(path, names=names, whole=whole):
            raise error
        assert raised.value is error
    return str(error)


def test_argument_opens_the_message():
    assert str(ConfigError("got 3; allowed: 1, 2", argument="size")) == "size: got 3; allowed: 1, 2"
    assert str(ConfigError("no such file")) == "no such file"


def test_paths_nest():
    error = ConfigError("no such model", argument="model")
    assert told(error, ("image", None, False), ("encoder", None, False)) == "encoder.image.model: no such model"


def test_an_argument_is_renamed_below_its_path():
    error = CheckpointError("no such folder", argument="name.0")
    assert told(error, ("encoder", {"name": "text_model"}, False)) == "encoder.text_model.0: no such folder"


def test_an_argument_is_renamed_without_a_path_and_others_stay():
    names = {"freeze": "trainer.freeze"}
    assert told(ConfigError("a", argument="freeze"), ("", names, False)) == "trainer.freeze: a"
    assert told(ConfigError("a", argument="objective.loss"), ("", names, False)) == "objective.loss: a"


def test_an_empty_argument_is_the_path_itself():
    assert told(SimtrainError("needs the extra", argument=""), ("lora", None, False)) == "lora: needs the extra"


@pytest.mark.parametrize(("whole", "expected"), [(False, "broken"), (True, "captions: broken")])
def test_an_error_without_an_argument_is_about_the_whole_if_asked(whole: bool, expected: str):
    assert told(ConfigError("broken"), ("captions", None, whole)) == expected


def test_an_error_from_another_process_names_its_argument():
    error = pickle.loads(pickle.dumps(ConfigError("got 8", argument="devices")))
    assert told(error, ("trainer", None, False)) == "trainer.devices: got 8"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device", "a"), "No space left on device"),
        (OSError("Error writing bytes to file. Detail: [errno 28] No space left on device"), "No space left on device"),
        (RuntimeError("faiss: write error: 3 != 4 (File too large)"), "File too large"),
        (OSError(39, "Directory not empty", "a"), "Directory not empty"),
        (OSError("the disk\nis odd"), "the disk"),
        (RuntimeError("shape"), "shape"),
    ],
)
def test_the_systems_reason_in_whatever_words_a_library_has_for_it(error: Exception, reason: str):
    assert system_reason(error) == reason


def test_a_line_of_anothers_error_is_cut_where_one_sees_it() -> None:
    error = ValueError("the connection was closed\nand more")
    assert (first_line(error), first_line(error, to=13)) == ("the connection was closed", "the connecti…")
    assert first_line(TimeoutError(), to=7) == "Timeou…"
