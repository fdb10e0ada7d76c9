"""Checks of a sentence-transformers model: nothing it names is run, and none of its weights or tokens is made up."""

import io
import json
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import huggingface_hub

from simtrain.encoders.claimed_sizes import check_claimed_sizes
from simtrain.errors import CheckpointError, first_line
from simtrain.phrases import counted, joined

with redirect_stdout(io.StringIO()):  # transformers prints a line of its own where W&B is offline
    from transformers import PreTrainedModel

MODULES_FILE = "modules.json"
_CONFIG_FILE, _WEIGHTS_FILE = "config.json", "model.safetensors"
_ROUTER_FILES = ("router_config.json", _CONFIG_FILE)  # the second is its name in files of before 5.0
_OWN_TYPES = "sentence_transformers."
_HUB_OWNER = "sentence-transformers"
_OPEN_CLIP_FILES = ("open_clip_config.json", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class RefusedModelError(CheckpointError):
    """A model that is there and must not be used as it is."""


def check_model_folder(folder: Path, *, name: str) -> Path | None:
    """Refuse a folder that names code of its own, claims more than its weights hold, or is of another library.

    Nothing of it is opened.

    Args:
        folder: The model's folder.
        name: What the user calls it.

    Returns:
        Its list of modules; None: it has none, and is one module itself.

    Raises:
        RefusedModelError: naming the type that is not of sentence-transformers, the size, or the other library.
    """
    foreign = [file for file in _OPEN_CLIP_FILES if (folder / file).is_file()]
    if foreign and not (folder / _CONFIG_FILE).is_file():
        raise RefusedModelError(
            f"'{name}' is a model of open_clip ({foreign[0]}); simtrain opens image-text models of transformers "
            "(config.json, model.safetensors, tokenizer.json): take the same model in that format",
            argument="name",
        )
    for path in sorted(path for file in (MODULES_FILE, *_ROUTER_FILES) for path in folder.rglob(file)):
        _check_types(path, name=name)
    for weights in sorted(folder.rglob(_WEIGHTS_FILE)):
        _check_sizes(weights, name=name)
    modules = folder / MODULES_FILE
    return modules if modules.is_file() else None


def check_hub_model(name: str, *, local_only: bool) -> Path | None:
    """Like `check_model_folder`, of a model on the hub or in its cache.

    Args:
        name: On the hub, with or without its owner.
        local_only: Look into the cache alone.
    """
    for repository in (name,) if "/" in name else (f"{_HUB_OWNER}/{name}", name):
        try:
            path = Path(huggingface_hub.hf_hub_download(repository, MODULES_FILE, local_files_only=local_only))
        except (OSError, ValueError, RuntimeError):
            continue  # no such file, or no such model: what opens it says so
        _check_types(path, name=name)
        return path
    return None


def check_opened_model(model: Iterable[Any], place: str, modules: Path | None, *, name: str) -> None:
    """Refuse a model of which a tensor or the tokenizer was not in its files.

    transformers fills such tensors with random numbers and makes a tokenizer of special tokens alone.

    Args:
        model: The modules of the open model.
        place: Its folder or name on the hub, as it was opened.
        modules: Its list of modules; None: it is one module.
        name: What the user calls it.

    Raises:
        RefusedModelError: with what is missing.
    """
    listed = [] if modules is None else json.loads(modules.read_text(encoding="utf-8"))
    for number, module in enumerate(model):
        network = getattr(module, "model", None)
        if isinstance(network, PreTrainedModel):
            subfolder = str(listed[number]["path"]) if number < len(listed) else ""
            _check_tensors(network, place, subfolder, name=name)
            _check_tokenizer(getattr(module, "tokenizer", None), network, place, name=name)


def _check_sizes(weights: Path, *, name: str) -> None:
    """Refuse weights beside a configuration of a larger network: it would be built before that is noticed."""
    path = weights.parent / _CONFIG_FILE
    config = _content(path, name=name) if path.is_file() else None
    if isinstance(config, dict):
        try:
            check_claimed_sizes(config, weights, where=str(path))
        except CheckpointError as error:
            raise RefusedModelError(f"'{name}': {error}", argument="name") from None


def _content(path: Path, *, name: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RefusedModelError(f"'{name}': {path}: cannot be read: {first_line(error)}", argument="name") from None


def _check_types(path: Path, *, name: str) -> None:
    """Refuse a file that names a class outside of sentence-transformers."""
    for kind in _named_types(_content(path, name=name)):
        if not (isinstance(kind, str) and kind.startswith(_OWN_TYPES)):
            raise RefusedModelError(
                f"'{name}': {path} names the module type {kind!r}; only types of sentence-transformers "
                f"({_OWN_TYPES}…) are opened, as any other would run code",
                argument="name",
            )


def _named_types(content: Any) -> Iterator[Any]:
    """Of `modules.json` the type of each module, of a router's file those of its parts."""
    if isinstance(content, list):
        yield from (module["type"] for module in content if isinstance(module, dict) and "type" in module)
    elif isinstance(content, dict) and isinstance(content.get("types"), dict):
        yield from content["types"].values()


def _check_tensors(network: PreTrainedModel, place: str, subfolder: str, *, name: str) -> None:
    """Open it once more without memory for its weights: transformers tells what it did not find only when asked."""
    kind: Any = type(network)  # its annotations leave out the pair that it returns when asked
    _, found = kind.from_pretrained(
        place, subfolder=subfolder, local_files_only=True, output_loading_info=True, device_map="meta"
    )
    missing, further = sorted(found["missing_keys"]), sorted(found["unexpected_keys"])
    if missing:
        has = f"; it has {counted(len(further), 'other')}, such as '{further[0]}'" if further else ""
        raise RefusedModelError(
            f"'{name}' lacks {counted(len(missing), 'tensor')} of its own network, such as '{missing[0]}'{has}",
            argument="name",
        )


def _check_tokenizer(tokenizer: Any, network: PreTrainedModel, place: str, *, name: str) -> None:
    if tokenizer is None:
        return
    files = sorted(set(tokenizer.vocab_files_names.values()))
    lost = Path(place).is_dir() and not any(True for file in files for _ in Path(place).rglob(file))
    if lost or len(tokenizer) <= len(set(tokenizer.all_special_tokens)):
        raise RefusedModelError(
            f"'{name}' lacks its tokenizer ({joined(files)}); copy these files from where the model came from",
            argument="name",
        )
    known = getattr(getattr(network.config, "text_config", network.config), "vocab_size", None)
    if known is not None and len(tokenizer) > known:
        raise RefusedModelError(
            f"'{name}': its tokenizer has {len(tokenizer)} tokens, its network only {known}: one of another model",
            argument="name",
        )
