"""Pickles of others: tensors come out, nothing is executed."""

import os
import sys
import types
from argparse import Namespace
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_files import CONTAINERS, refusal, rewritten, saved, tensors
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.parsing import AttributeDict

from simtrain.encoders import foreign_pickle
from simtrain.encoders.foreign_checkpoint import open_foreign_checkpoint, tensors_in
from simtrain.errors import CheckpointError


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"mkdir {self.folder}",)


@CONTAINERS
def test_what_lightning_1_pickled(tmp_path: Path, archive: bool):
    content = {
        "state_dict": tensors(),
        "hyper_parameters": AttributeDict(arch="resnet18", maxpool1=False),
        "callbacks": {ModelCheckpoint: {"best_model_score": torch.tensor(0.5)}},
        "args": Namespace(gpus=8),
        "seen": defaultdict(list, {1: [2]}),
        "names": {"a", "b"},
    }
    opened = open_foreign_checkpoint(saved(tmp_path / "a.ckpt", content, archive=archive))
    assert dict(opened.values["hyper_parameters"]) == {"arch": "resnet18", "maxpool1": False}
    assert dict(opened.values["args"]) == {"gpus": 8}
    (kept,) = opened.values["callbacks"].values()
    assert list(kept) == ["best_model_score"]
    assert "argparse.Namespace" in opened.not_built
    assert any(name.endswith(".ModelCheckpoint") for name in opened.not_built)


@CONTAINERS
def test_classes_of_a_module_that_is_gone(tmp_path: Path, archive: bool, monkeypatch: pytest.MonkeyPatch):
    module = types.ModuleType("bolts_of_2021")
    gone = type("Settings", (), {"__module__": "bolts_of_2021"})
    module.Settings = gone
    monkeypatch.setitem(sys.modules, "bolts_of_2021", module)
    settings = gone()
    settings.width = 2
    path = saved(tmp_path / "a.ckpt", {"state_dict": tensors(), "own": settings, gone: 1}, archive=archive)
    monkeypatch.delitem(sys.modules, "bolts_of_2021")
    opened = open_foreign_checkpoint(path)
    assert dict(opened.values["own"]) == {"width": 2}
    assert opened.not_built == ("bolts_of_2021.Settings",)


@CONTAINERS
def test_traps_do_not_spring(tmp_path: Path, archive: bool):
    folder = tmp_path / "sprung"
    content = {"state_dict": tensors(), "trap": Trap(folder), "list": [Trap(folder)]}
    path = saved(tmp_path / "a.ckpt", content, archive=archive)
    opened = open_foreign_checkpoint(path)
    assert not folder.exists()
    assert opened.not_built == ("posix.system",)
    assert torch.equal(tensors_in(opened.values["state_dict"])["whole"], tensors()["whole"])
    torch.load(path, weights_only=False)
    assert folder.exists(), "the trap is none"


def test_what_an_unbuilt_object_gives_cannot_be_called(tmp_path: Path):
    looked_up = b"c__builtin__\ngetattr\n(cos\npath\nX\x06\x00\x00\x00systemtR"
    pickled = b"\x80\x02" + looked_up + b"(X\x04\x00\x00\x00truetR."
    path = rewritten(saved(tmp_path / "a.ckpt", {"a": torch.ones(1)}), pickled=pickled)
    assert refusal(path).startswith("not a checkpoint that can be read (TypeError: 'getattr' object is not callable)")


def test_attributes_given_to_what_is_built_are_not_set(tmp_path: Path):
    path = saved(tmp_path / "a.ckpt", {"a": torch.ones(1)})
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    pickled = b"\x80\x02" + rebuild + b"}X\x04\x00\x00\x00evilK\x01sb."
    with pytest.raises(CheckpointError, match="holds a function; allowed: a mapping"):
        open_foreign_checkpoint(rewritten(path, pickled=pickled))
    assert not hasattr(foreign_pickle._stored_tensor, "evil")
    assert not hasattr(torch._utils._rebuild_tensor_v2, "evil")


def test_objects_by_number_are_refused(tmp_path: Path):
    path = saved(tmp_path / "a.ckpt", {"a": torch.ones(1)})
    assert refusal(rewritten(path, pickled=b"\x80\x02\x82\x01.")).startswith("not a checkpoint that can be read")
