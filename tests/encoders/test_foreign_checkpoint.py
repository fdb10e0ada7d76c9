"""Files of others: every container of torch, objects of classes that are gone, and traps that must not spring."""

import pickle
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from foreign_files import CONTAINERS, refusal, rewritten, saved, tensors
from safetensors.torch import save_file

from simtrain.encoders.foreign_checkpoint import holds_tensors, open_foreign_checkpoint, tensors_in

OBJECTS = {"hyper_parameters": Namespace(arch="resnet50")}


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
