"""Text towers of sentence-transformers models, and frozen text models."""

# Shapes: N texts, D dimensions of the embedding.

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.sending import sent
from simtrain.encoders.sentence_models import SentenceTransformer, open_sentence_model, save_sentence_model
from simtrain.errors import ConfigError

OUTPUT = "sentence_embedding"
"""Under it a model of sentence-transformers leaves its embeddings."""

_AT_ONCE = 64


class TextSide:
    """Text embedding by a model; `SentenceTransformer.encode` with `normalize_embeddings` gives the same vectors.

    Args:
        model: Open model of sentence-transformers; it is not changed.
    """

    def __init__(self, *, model: SentenceTransformer) -> None:
        self._model = model
        self._prompt = model.prompts.get(model.default_prompt_name or "") or ""

    @property
    def longest_text(self) -> int:
        """Tokens of a text that are read, those for its start and end among them; the largest int where all are."""
        longest = self._model.max_seq_length or self._model.tokenizer.model_max_length
        return int(min(longest, sys.maxsize))

    @property
    def prompt(self) -> str:
        """Put before every text; empty: nothing."""
        return self._prompt

    def tokenizer_json(self) -> str | None:
        """What the library `tokenizers` reads, and then cuts and pads as `tokenize` does; None: it has no such file."""
        self.tokenize(["a"], device=torch.device("cpu"))  # which tells the tokenizer how to cut and pad
        backend = getattr(self._model.tokenizer, "backend_tokenizer", None)
        return None if backend is None else str(backend.to_str())

    def tokenize(self, texts: Sequence[str], *, device: torch.device) -> dict[str, Tensor]:
        """Texts -> what `text_features` takes, on a device; long texts are cut."""
        tokens = self._model.preprocess(self._prompted(texts))
        return {name: sent(value, device) for name, value in tokens.items() if isinstance(value, Tensor)}

    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Tokens of N texts -> (N, D) features, not of unit length, with gradients where the text side learns."""
        return cast(Tensor, self._model({**tokens, "modality": "text"})[OUTPUT])

    def embed_texts(self, texts: Sequence[str], *, size: int, device: torch.device) -> Tensor:
        """N texts -> (N, D = size) float32 of unit length, on a device, without gradients."""
        parts = [torch.empty(0, size, device=device)]
        with torch.no_grad(), torch.autocast(device.type, enabled=False), _evaluating(self._model):
            for start in range(0, len(texts), _AT_ONCE):
                features = self.text_features(self.tokenize(texts[start : start + _AT_ONCE], device=device))
                parts.append(F.normalize(features.float(), dim=1))
        return torch.cat(parts)

    def truncated(self, texts: Sequence[str]) -> list[int]:
        """Positions of the texts that are longer than the model reads."""
        longest = self.longest_text
        if not texts or longest == sys.maxsize:
            return []
        tokenizer: Any = self._model.tokenizer
        tokens = tokenizer(self._prompted(texts), truncation=False, padding=False, verbose=False)["input_ids"]
        return [place for place, ids in enumerate(tokens) if len(ids) > longest]

    def _prompted(self, texts: Sequence[str]) -> list[str]:
        return [self._prompt + text for text in texts]


class TextTower(TextSide):
    """A frozen text model: in float32, in evaluation mode, without gradients.

    It is no part of the network of an encoder that holds it, and so in no checkpoint, no optimizer and no running
    average; copies of the encoder share it. It goes by itself to the device that it is asked to compute on.

    Args:
        model: Open model of sentence-transformers; the tower changes it.

    Attributes:
        size: Length of the embeddings, D.
    """

    def __init__(self, *, model: SentenceTransformer) -> None:
        super().__init__(model=model.float().eval().requires_grad_(False))
        self.size = int(self.text_features(self.tokenize(["a"], device=torch.device("cpu"))).shape[1])

    @override
    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        device = next(iter(tokens.values())).device
        self._go_to(device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            return super().text_features(tokens)[:, : self._model.truncate_dim]

    def save_folder(self, folder: Path) -> None:
        """Write a folder, which is made, that `open_text_tower` and plain sentence-transformers open."""
        save_sentence_model(self._model, folder, processor={})

    def _go_to(self, device: torch.device) -> None:
        if any(weight.device != device for weight in self._model.parameters()):
            with torch.inference_mode(False):  # weights that were moved in inference mode could not be moved again
                self._model.to(device)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def open_text_tower(name: str) -> TextTower:
    """Open a frozen text model.

    Args:
        name: A local folder, `package:MODULE/FOLDER`, or a name on the hub, which is downloaded once.

    Raises:
        CheckpointError: if it is none of them, or is unavailable.
        ConfigError: for a model that reads no texts.
    """
    model = open_sentence_model(name, processor={})
    modalities = list(getattr(model, "modalities", ["text"]))
    if "text" not in modalities:
        raise ConfigError(f"'{name}' reads no texts; it reads {', '.join(modalities)}", argument="name")
    return TextTower(model=model)


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
