"""Files of others: every container of torch, objects of classes that are gone, and traps that must not spring."""

import os
import pickle
import sys
import types
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.parsing import AttributeDict
from safetensors.torch import save_file
from torch import Tensor, nn

from simtrain.encoders import foreign_pickle
from simtrain.encoders.foreign_checkpoint import holds_tensors, open_foreign_checkpoint, tensors_in
from simtrain.errors import CheckpointError

CONTAINERS = pytest.mark.parametrize("archive", [True, False], ids=["archive", "legacy"])
OBJECTS = {"hyper_parameters": Namespace(arch="resnet50")}


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"mkdir {self.folder}",)


def tensors() -> dict[str, Tensor]:
    """Every way in which a tensor can lie in its storage, and most types of number."""
    values = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    return OrderedDict(
        whole=values,
        turned=values.t(),
        part=values[1:3, ::2],
        learned=nn.Parameter(torch.ones(3)),
        count=torch.tensor(7),
        empty=torch.empty(0, 3),
        half=values.half(),
        brain=values.bfloat16(),
        double=values.double(),
        small=torch.tensor([-1, 2], dtype=torch.int8),
        yes=torch.tensor([True, False]),
    )


def saved(path: Path, content: Any, *, archive: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        open_foreign_checkpoint(path)
    return str(caught.value).removeprefix(f"{path}: ")


def rewritten(
    path: Path, *, pickled: bytes | None = None, compression: int = zipfile.ZIP_STORED, **extra: bytes
) -> Path:
    """The archive again with another pickle, or with further entries in it."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    folder = next(name for name in entries if name.endswith("/data.pkl")).removesuffix("data.pkl")
    entries |= {f"{folder}{name}": content for name, content in extra.items()}
    if pickled is not None:
        entries[f"{folder}data.pkl"] = pickled
    with zipfile.ZipFile(path, "w", compression=compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


@CONTAINERS
def test_tensors_beside_objects_come_back_bit_for_bit(tmp_path: Path, archive: bool):
    path = saved(tmp_path / "a.ckpt", {"state_dict": tensors(), **OBJECTS}, archive=archive)
    found = tensors_in(open_foreign_checkpoint(path).values["state_dict"])
    assert list(found) == list(tensors())
    for name, value in tensors().items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


@CONTAINERS
def test_plain_files_ask_for_nothing(tmp_path: Path, archive: bool):
    opened = open_foreign_checkpoint(saved(tmp_path / "a.pth", tensors(), archive=archive))
    assert opened.not_built == ()
    assert torch.equal(tensors_in(opened.values)["turned"], tensors()["turned"])


def test_safetensors(tmp_path: Path):
    save_file({"a": torch.arange(3)}, tmp_path / "a.safetensors")
    assert torch.equal(tensors_in(open_foreign_checkpoint(tmp_path / "a.safetensors").values)["a"], torch.arange(3))


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


def test_archive_that_grows_is_refused(tmp_path: Path):
    path = rewritten(
        saved(tmp_path / "a.ckpt", {"a": torch.zeros(10**6)}), compression=zipfile.ZIP_DEFLATED, more=bytes(10**6)
    )
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    assert refusal(path) == f"unpacks to {unpacked} bytes, more than the {size} of the file"


@CONTAINERS
def test_tensor_larger_than_what_the_file_holds_for_it(tmp_path: Path, archive: bool):
    path = saved(tmp_path / "a.ckpt", {"state_dict": {"a": torch.ones(1).expand(1000)}, **OBJECTS}, archive=archive)
    with pytest.raises(ValueError, match=r"a tensor of size \(1000,\) is made of 1 numbers"):
        tensors_in(open_foreign_checkpoint(path).values["state_dict"])


def test_storage_that_is_shorter_than_the_pickle_says(tmp_path: Path):
    path = saved(tmp_path / "a.ckpt", {"state_dict": {"a": torch.arange(4.0)}, **OBJECTS})
    with zipfile.ZipFile(path) as archive:
        pickled = archive.read("a/data.pkl")
    longer = pickled.replace(b"X\x03\x00\x00\x00cpuq\x08K\x04t", b"X\x03\x00\x00\x00cpuq\x08K\x28t")
    assert longer != pickled
    with pytest.raises(ValueError, match="a tensor's numbers take 16 bytes of the file instead of 160"):
        tensors_in(open_foreign_checkpoint(rewritten(path, pickled=longer)).values["state_dict"])


def test_truncated_legacy_file(tmp_path: Path):
    path = saved(tmp_path / "a.ckpt", {"state_dict": {"a": torch.ones(100)}, **OBJECTS}, archive=False)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="a tensor's numbers take 360 bytes of the file instead of 400"):
        tensors_in(open_foreign_checkpoint(path).values["state_dict"])


def test_torchscript_is_refused(tmp_path: Path):
    path = rewritten(saved(tmp_path / "a.pt", {"a": torch.ones(1)}), **{"constants.pkl": b"."})
    assert refusal(path) == "a TorchScript program; allowed: the state_dict of its model"


def test_what_is_no_checkpoint(tmp_path: Path):
    (tmp_path / "a.pth").write_text("Hello, there is no pickle here\n")
    (tmp_path / "b.safetensors").write_text("{}")
    (tmp_path / "empty.ckpt").touch()
    allowed = "; allowed: .safetensors, a file of torch.save"
    for name in ("a.pth", "b.safetensors", "empty.ckpt"):
        assert refusal(tmp_path / name).startswith("not a checkpoint that can be read (")
        assert refusal(tmp_path / name).endswith(allowed)
    assert refusal(tmp_path / "none.ckpt") == "no such weights file"
    assert refusal(saved(tmp_path / "list.pt", [1, 2])) == "holds a list; allowed: a mapping of names to tensors"


def test_pickle_that_torch_did_not_write(tmp_path: Path):
    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=2))
    assert "neither an archive nor a file of torch before 1.6" in refusal(path)


def test_holds_tensors():
    assert holds_tensors({"a": torch.ones(1)})
    assert not holds_tensors({"a": {"b": torch.ones(1)}})
    assert not holds_tensors([torch.ones(1)])
