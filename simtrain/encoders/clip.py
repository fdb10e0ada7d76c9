"""Image-text models such as CLIP and SigLIP, through sentence-transformers: the only door to it."""

# Shapes: N images or texts, S = image_size, D dimensions of the joint embedding.

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import huggingface_hub
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import CheckpointError, ConfigError, first_line

_TEXT_BATCH = 64
_REACH_SECONDS = 2.0
_OUTPUT = "sentence_embedding"
_LAYER = re.compile(r"\.(?:layers?|blocks|resblocks)\.(\d+)\.")
_STEM = re.compile(r"embeddings?\.|\.pre_layrnorm\.|\.pre_layernorm\.")
_TRANSFORMER_FILE = "sentence_bert_config.json"
_MODULES_FILE = "modules.json"
_OLD_KIND = "CLIPModel"  # what models of before sentence-transformers 5.4 name, deprecated since


class ClipEncoder(Encoder):
    """An image-text model that sentence-transformers opens, up to the space that both sides are projected into.

    What an image does not pass through (the text side, the scale) learns only if asked to: processes that share their
    gradients wait for those of every parameter that could have one.

    Args:
        model: Opened; of float32 weights.
        preprocessing: How images are prepared; the model's own image processor is set to the same.
        train_text: Whether the text side and the scale learn too.
        freeze_patch_embedding: Whether the layer that reads the pixels stays as it is.

    Raises:
        ConfigError: if there is no such layer.
    """

    def __init__(
        self,
        *,
        model: SentenceTransformer,
        preprocessing: Preprocessing,
        train_text: bool,
        freeze_patch_embedding: bool,
    ) -> None:
        size = preprocessing.image_size
        with torch.no_grad():
            probe = model({"pixel_values": torch.zeros(1, 3, size, size), "modality": "image"})[_OUTPUT]
        super().__init__(preprocessing=preprocessing, feature_size=int(probe.shape[1]), embedding_size=None)
        self.network = model.requires_grad_(True)
        self._trains_text = train_text
        for name, parameter in self.towers.named_parameters():
            if not _is_of_images(name) and not train_text:
                parameter.requires_grad_(False)
        if freeze_patch_embedding:
            self._freeze_patch_embedding()
        self.train()

    @property
    def towers(self) -> Any:
        """The model of transformers, whose parameters are named `vision_model.…`, `text_model.…`, `logit_scale`."""
        return cast(Any, self.network[0]).model

    @property
    def logit_scale(self) -> nn.Parameter:
        """Log of the factor that the model multiplies cosines with."""
        return cast(nn.Parameter, self.towers.logit_scale)

    @property
    def logit_bias(self) -> nn.Parameter | None:
        """What a SigLIP adds to the multiplied cosines; a CLIP has none."""
        return getattr(self.towers, "logit_bias", None)

    @property
    def longest_text(self) -> int:
        """Tokens of a text that are read, those for its start and end among them."""
        return int(self.network.max_seq_length or self.network.tokenizer.model_max_length)

    @override
    def features(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.network({"pixel_values": images, "modality": "image"})[_OUTPUT])

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Texts -> what `text_features` takes, on the encoder's device; long texts are cut."""
        device = self.logit_scale.device
        tokens = self.network.preprocess(list(texts))
        return {name: value.to(device) for name, value in tokens.items() if isinstance(value, Tensor)}

    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Tokens of N texts -> (N, D) features, not of unit length, with gradients where the text side learns."""
        return cast(Tensor, self.network({**tokens, "modality": "text"})[_OUTPUT])

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """N texts -> (N, D) float32 of unit length, on the encoder's device, without gradients."""
        device = self.logit_scale.device
        parts = [torch.empty(0, self.embedding_size, device=device)]
        with torch.no_grad(), torch.autocast(device.type, enabled=False), _evaluating(self):
            for start in range(0, len(texts), _TEXT_BATCH):
                features = self.text_features(self.tokenize(texts[start : start + _TEXT_BATCH]))
                parts.append(F.normalize(features.float(), dim=1))
        return torch.cat(parts)

    def truncated(self, texts: Sequence[str]) -> list[int]:
        """Positions of the texts that are longer than the model reads."""
        if not texts:
            return []
        tokens = self.network.tokenizer(list(texts), truncation=False, padding=False, verbose=False)["input_ids"]
        return [place for place, ids in enumerate(tokens) if len(ids) > self.longest_text]

    def save_folder(self, folder: Path) -> None:
        """Write a folder that `SentenceTransformer(folder)` opens and that gives these very vectors, pictures included.

        Low-rank factors are folded in beforehand, by `merged`. The backend that resizes pictures and the weights'
        type are written down too: both would else be what the reader's version of the libraries prefers.
        """
        with _quiet():
            self.network.save_pretrained(str(folder), create_model_card=False)
        pinned = {"processor_kwargs": {"backend": "pil"}, "model_kwargs": {"dtype": "float32"}}
        _rewrite(folder / _TRANSFORMER_FILE, lambda settings: {**settings, **pinned})
        kind = type(self.network[0])
        if kind.__name__ == _OLD_KIND:
            current = f"{kind.__bases__[0].__module__}.{kind.__bases__[0].__name__}"
            _rewrite(folder / _MODULES_FILE, lambda modules: [{**modules[0], "type": current}, *modules[1:]])
        for file in folder.rglob("*.safetensors"):  # safetensors makes files that nobody but their owner can read
            file.chmod((folder / _MODULES_FILE).stat().st_mode)

    @override
    def pretrained_depths(self) -> dict[str, int]:
        """0 for what reads pixels or tokens, then a layer for each block; the projections are above all blocks."""
        names = [name for name, _ in self.named_parameters()]
        blocks = {name: int(found[1]) + 1 for name in names if (found := _LAYER.search(name))}
        above = max(blocks.values(), default=0) + 1
        return {name: blocks.get(name, 0 if _STEM.search(name) else above) for name in names}

    @override
    def checkpoint_activations(self) -> None:
        try:
            towers = self.towers  # transformers has renamed it on the way from 5 to 6
            enable = getattr(towers, "activation_checkpointing_enable", None) or towers.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        except ValueError:
            super().checkpoint_activations()

    @override
    def merged(self) -> "ClipEncoder":
        plain = super().merged()
        if plain is not self:
            for name, parameter in plain.towers.named_parameters():
                parameter.requires_grad_(self._trains_text or _is_of_images(name))
        return plain

    def _freeze_patch_embedding(self) -> None:
        found = [parameter for name, parameter in self.towers.named_parameters() if "patch_embedding." in name]
        if not found:
            raise ConfigError("encoder.freeze_patch_embedding: the model has no layer of that name; set it to false")
        for parameter in found:
            parameter.requires_grad_(False)


def open_clip_model(model: str) -> SentenceTransformer:
    """An image-text model on the CPU in float32, whatever type its weights have on disk.

    Args:
        model: A local folder, or a name on the hub, which is downloaded once.

    Raises:
        CheckpointError: if it is neither, or cannot be had.
        ConfigError: for a model that does not read both images and texts.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        opened = _opened(str(folder), model=model, local_only=True)
    elif model.startswith((".", "/", "~")):
        raise CheckpointError(f"encoder.model: {model}: no such folder")
    else:
        opened = _from_hub(model)
    modalities = list(getattr(opened, "modalities", ["text"]))
    if not {"image", "text"} <= set(modalities) or not hasattr(cast(Any, opened[0]).model, "logit_scale"):
        raise ConfigError(
            f"encoder.model: '{model}' is no image-text model with a joint space: it reads {', '.join(modalities)}"
        )
    return opened.float()


def image_processor(model: SentenceTransformer) -> Any:
    """The part of an opened model that prepares images for it, and is saved with it."""
    return cast(Any, model[0]).processor.image_processor


def attention_targets(*, text: bool) -> list[str]:
    """Where low-rank factors go by themselves: queries, keys and values of the image side, or of both sides."""
    sides = ["vision_model", "text_model"] if text else ["vision_model"]
    return [f"{side}.*.{part}" for side in sides for part in ("q_proj", "k_proj", "v_proj")]


def _is_of_images(name: str) -> bool:
    return not name.startswith(("text", "logit_"))


def _rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    values = change(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _from_hub(model: str) -> SentenceTransformer:
    """From the cache, where it is; the hub is asked only when it can be reached, as its client tries for minutes."""
    try:
        return _opened(model, model=model, local_only=True)
    except CheckpointError:
        reason = _out_of_reach()
        if reason is not None:
            raise CheckpointError(
                f"encoder.model: '{model}' is neither a folder nor in the cache, and the hub is out of reach "
                f"({reason}); give a local folder, or try again with a network"
            ) from None
    return _opened(model, model=model, local_only=False)


def _opened(path: str, *, model: str, local_only: bool) -> SentenceTransformer:
    with _quiet() if local_only else nullcontext():  # a download of minutes shows its bars
        try:
            return SentenceTransformer(
                path,
                device="cpu",
                local_files_only=local_only,
                model_kwargs={"dtype": torch.float32},
                processor_kwargs={"backend": "pil"},
            )
        except Exception as error:  # each of the libraries below raises its own kinds
            reason = first_line(error)[:200]
            raise CheckpointError(f"encoder.model: '{model}' cannot be opened: {reason}") from error


def _out_of_reach() -> str | None:
    """Why the hub cannot be asked; None: it answers."""
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=_REACH_SECONDS)
    except Exception as error:  # whatever the client's transport raises
        return f"{type(error).__name__}: {first_line(error)[:100]}"
    return None


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; each part then has its own mode again."""
    learning = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in learning:
            part.training = True


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
