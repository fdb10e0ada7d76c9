"""Models of sentence-transformers: opened from a folder, a package or the hub, and saved again."""

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import huggingface_hub
import torch

from simtrain.encoders.sentence_folder import (
    MODULES_FILE,
    RefusedModelError,
    check_hub_model,
    check_model_folder,
    check_opened_model,
)
from simtrain.encoders.weights import PACKAGE_PREFIX, locate_folder
from simtrain.errors import CheckpointError, error_path, first_line

with redirect_stdout(io.StringIO()):  # transformers prints a line of its own where W&B is offline
    from sentence_transformers import SentenceTransformer as SentenceTransformer  # the others import it from here
    from transformers.utils import logging as transformers_logging

_REACH_SECONDS = 2.0
_TRANSFORMER_FILE = "sentence_bert_config.json"
_OLD_KIND = "CLIPModel"  # what models of before sentence-transformers 5.4 name, deprecated since


def open_sentence_model(name: str, *, processor: Mapping[str, str]) -> SentenceTransformer:
    """A model on the CPU in float32, whatever type its weights have on disk.

    Args:
        name: A local folder, `package:MODULE/FOLDER`, or a name on the hub, which is downloaded once.
        processor: Settings of its image or text processor.

    Raises:
        CheckpointError: if it is none of them, or is unavailable.
    """
    # A tokenizer of before tokenizers 0.23 writes a warning into each loader process that is forked after it was used.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder = _local_folder(name)
    if folder is not None:
        modules = check_model_folder(folder, name=name)
        model = _opened(str(folder), modules, name=name, processor=processor, local_only=True)
    else:
        model = _from_hub(name, processor=processor)
    return model.float()


def save_sentence_model(model: SentenceTransformer, folder: Path, *, processor: Mapping[str, str]) -> None:
    """Write a folder that `SentenceTransformer(folder)` opens and that gives the very vectors of the model.

    The type of the weights and the settings of the processor are written down too: they would else be what the
    reader's version of the libraries prefers.

    Args:
        model: Model to write.
        folder: Folder to write to; it is made.
        processor: Settings of the processor that the model was opened with.
    """
    with _quiet():
        model.save_pretrained(str(folder), create_model_card=False)
    if (folder / _TRANSFORMER_FILE).is_file():
        pinned = {"model_kwargs": {"dtype": "float32"}} | ({"processor_kwargs": dict(processor)} if processor else {})
        _rewrite(folder / _TRANSFORMER_FILE, lambda settings: {**settings, **pinned})
    kind = type(model[0])
    if kind.__name__ == _OLD_KIND:
        current = f"{kind.__bases__[0].__module__}.{kind.__bases__[0].__name__}"
        _rewrite(folder / MODULES_FILE, lambda modules: [{**modules[0], "type": current}, *modules[1:]])
    for file in folder.rglob("*.safetensors"):  # safetensors makes files that nobody but their owner can read
        file.chmod((folder / MODULES_FILE).stat().st_mode)


def _local_folder(name: str) -> Path | None:
    """The folder that a name speaks of; None: a name on the hub."""
    if name.startswith(PACKAGE_PREFIX):
        with error_path("name", whole=True):
            return locate_folder(name)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")):
        raise CheckpointError(f"{name}: no such folder", argument="name")
    return None


def _rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    values = change(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _from_hub(name: str, *, processor: Mapping[str, str]) -> SentenceTransformer:
    """From the cache, where it is; the hub is asked only when it can be reached, as its client tries for minutes."""
    try:
        modules = check_hub_model(name, local_only=True)
        return _opened(name, modules, name=name, processor=processor, local_only=True)
    except RefusedModelError:
        raise
    except CheckpointError:
        reason = _out_of_reach()
        if reason is not None:
            raise CheckpointError(
                f"'{name}' is neither a folder nor in the cache, and the hub is out of reach "
                f"({reason}); give a local folder, or try again with a network",
                argument="name",
            ) from None
    modules = check_hub_model(name, local_only=False)
    return _opened(name, modules, name=name, processor=processor, local_only=False)


def _opened(
    path: str, modules: Path | None, *, name: str, processor: Mapping[str, str], local_only: bool
) -> SentenceTransformer:
    with _quiet() if local_only else nullcontext():  # a download of minutes shows its bars
        try:
            model = SentenceTransformer(
                path,
                device="cpu",
                local_files_only=local_only,
                model_kwargs={"dtype": torch.float32},
                processor_kwargs=dict(processor),
            )
            with _quiet():
                check_opened_model(model, path, modules, name=name)
        except RefusedModelError:
            raise
        except Exception as error:  # each of the libraries below raises its own kinds
            reason = first_line(error, to=200)
            raise CheckpointError(f"'{name}' cannot be opened: {reason}", argument="name") from error
    return model


def _out_of_reach() -> str | None:
    """Why the hub cannot be asked; None: it answers."""
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=_REACH_SECONDS)
    except Exception as error:  # whatever the client's transport raises
        return f"{type(error).__name__}: {first_line(error, to=100)}"
    return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and the advice of transformers."""
    control: Any = transformers_logging  # half of it is unannotated
    bars, level = control.is_progress_bar_enabled(), control.get_verbosity()
    control.disable_progress_bar()
    control.set_verbosity_error()
    try:
        yield
    finally:
        control.set_verbosity(level)
        if bars:
            control.enable_progress_bar()
