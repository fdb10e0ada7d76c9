"""CLIP and SigLIP encoders: image-text models opened by sentence-transformers."""

# Shapes: N images or texts, S = image_size, D dimensions of the joint embedding.

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.sentence_models import SentenceTransformer, open_sentence_model, save_sentence_model
from simtrain.encoders.text_tower import OUTPUT, TextSide, TextTower
from simtrain.errors import ConfigError

_PROCESSOR = {"backend": "pil"}  # what resizes pictures; another one gives other pixels
_LAYER = re.compile(r"\.(?:layers?|blocks|resblocks)\.(\d+)\.")
_STEM = re.compile(r"embeddings?\.|\.pre_layrnorm\.|\.pre_layernorm\.")


class ClipEncoder(Encoder):
    """An image-text model that sentence-transformers opens, up to the space that both sides are projected into.

    What an image does not pass through (the text side, the scale) learns only if asked to: processes that share their
    gradients wait for those of every parameter that could have one. Of the scale and the bias only who trains with
    texts can know; whoever does switches their gradients on.

    Args:
        model: Open model of sentence-transformers with float32 weights.
        preprocessing: Preprocessing of images; the model's own image processor is set to the same.
        train_text: Whether the text side learns too; not with a `text_tower`.
        text_tower: Text model that embeds texts instead of the model's own text tower; None: the model's own does.
        freeze_patch_embedding: Whether the layer that reads the pixels is frozen.

    Raises:
        ConfigError: if there is no such layer, or the text tower is of another size.
        ValueError: for both `train_text` and a `text_tower`.
    """

    def __init__(
        self,
        *,
        model: SentenceTransformer,
        preprocessing: Preprocessing,
        train_text: bool,
        text_tower: TextTower | None,
        freeze_patch_embedding: bool,
    ) -> None:
        if train_text and text_tower is not None:
            raise ValueError("train_text is True beside a text_tower, which stays as it is; allowed: one of them")
        size = preprocessing.image_size
        with torch.no_grad():
            probe = model({"pixel_values": torch.zeros(1, 3, size, size), "modality": "image"})[OUTPUT]
        super().__init__(preprocessing=preprocessing, feature_size=int(probe.shape[1]), embedding_size=None)
        self.network = model.requires_grad_(True)
        self._trains_text = train_text
        self._text_tower = text_tower
        self._texts = TextSide(model=model) if text_tower is None else text_tower
        if text_tower is not None and text_tower.size != self.embedding_size:
            raise ConfigError(
                f"its texts have {text_tower.size} dimensions, the model's images {self.embedding_size}; "
                "it takes one that was made for this model",
                argument="text_tower",
            )
        self._let_learn()
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
    def trains_text(self) -> bool:
        """Whether the text side learns."""
        return self._trains_text

    @property
    def longest_text(self) -> int:
        """Tokens of a text that are read, those for its start and end among them."""
        return self._texts.longest_text

    @override
    def features(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.network({"pixel_values": images, "modality": "image"})[OUTPUT])

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Texts -> what `text_features` takes, on the encoder's device; long texts are cut."""
        return self._texts.tokenize(texts, device=self.logit_scale.device)

    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Tokens of N texts -> (N, D) features, not of unit length, with gradients where the text side learns."""
        return self._texts.text_features(tokens)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """N texts -> (N, D) float32 of unit length, on the encoder's device, without gradients."""
        return self._texts.embed_texts(texts, size=self.embedding_size, device=self.logit_scale.device)

    @property
    def text_prompt(self) -> str:
        """Put before every text; empty: nothing."""
        return self._texts.prompt

    def tokenizer_json(self) -> str | None:
        """The tokenizer for the library `tokenizers`; see `TextSide.tokenizer_json`."""
        return self._texts.tokenizer_json()

    def truncated(self, texts: Sequence[str]) -> list[int]:
        """Positions of the texts that are longer than what is read."""
        return self._texts.truncated(texts)

    def save_folder(self, folder: Path) -> None:
        """Write a folder that `SentenceTransformer(folder)` opens and that gives these very vectors, pictures included.

        Low-rank factors are folded in beforehand, by `merged`. Texts are read there by the model's own text side.
        """
        save_sentence_model(self.network, folder, processor=_PROCESSOR)

    @property
    def has_text_folder(self) -> bool:
        """Whether another text tower reads the texts."""
        return self._text_tower is not None

    def save_text_folder(self, folder: Path) -> None:
        """Write the other text tower's folder, which is made.

        Raises:
            ValueError: without one.
        """
        if self._text_tower is None:
            raise ValueError("the model reads its texts itself; there is no other text tower")
        self._text_tower.save_folder(folder)

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
            plain._let_learn()
        return plain

    def _let_learn(self) -> None:
        for name, parameter in self.towers.named_parameters():
            parameter.requires_grad_(self._trains_text if name.startswith("text") else not name.startswith("logit_"))

    def _freeze_patch_embedding(self) -> None:
        found = [parameter for name, parameter in self.towers.named_parameters() if "patch_embedding." in name]
        if not found:
            problem = "the model has no layer of that name; set it to false"
            raise ConfigError(problem, argument="freeze_patch_embedding")
        for parameter in found:
            parameter.requires_grad_(False)


def open_clip_model(name: str) -> SentenceTransformer:
    """An image-text model on the CPU in float32.

    Args:
        name: Name of the model, as `open_sentence_model` takes it.

    Raises:
        CheckpointError: if there is none of that name, or it is unavailable.
        ConfigError: for a model that does not read both images and texts.
    """
    opened = open_sentence_model(name, processor=_PROCESSOR)
    modalities = list(getattr(opened, "modalities", ["text"]))
    if not {"image", "text"} <= set(modalities) or not hasattr(cast(Any, opened[0]).model, "logit_scale"):
        raise ConfigError(
            f"'{name}' is no image-text model with a joint space: it reads {', '.join(modalities)}", argument="name"
        )
    return opened


def image_processor(model: SentenceTransformer) -> Any:
    """The part of an opened model that prepares images for it, and is saved with it."""
    return cast(Any, model[0]).processor.image_processor


def attention_targets(*, text: bool) -> list[str]:
    """Where low-rank factors go by themselves: queries, keys and values of the image side, or of both sides."""
    sides = ["vision_model", "text_model"] if text else ["vision_model"]
    return [f"{side}.*.{part}" for side in sides for part in ("q_proj", "k_proj", "v_proj")]
