"""A text encoder that was exported to ONNX: onnxruntime runs it, and the library `tokenizers` cuts its texts up."""

# Shapes: N texts, L tokens of the longest of them, D dimensions of the embedding.

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, first_line
from simtrain.serving.onnx_runtime import TEXT_ONNX_FILE, TOKENIZER_FILE, OnnxGraph

TOKENS_INPUT, MASK_INPUT = "input_ids", "attention_mask"
TOKENIZERS = "tokenizers"
_AT_ONCE = 64
_LONGEST = 100_000  # tokens that a tokenizer may fill texts up to; a file that asks for more is no text encoder's


def can_tokenize() -> bool:
    """Whether the library `tokenizers` is installed."""
    return importlib.util.find_spec(TOKENIZERS) is not None


@dataclass(frozen=True, kw_only=True)
class TextOnnxFiles:
    """What `export_onnx_texts` wrote.

    Attributes:
        folder: Folder of the files, for messages.
        graph: Content of `text_encoder.onnx`.
        tokenizer: Content of `text_tokenizer.json`.
        prompt: Put before every text; empty: nothing.
    """

    folder: Path
    graph: bytes
    tokenizer: bytes
    prompt: str


class OnnxTextEncoder:
    """A text encoder that `export_onnx_texts` wrote.

    Args:
        files: Its files, read.
        threads: Number of threads that compute, 1 or more; None: one for each core.

    Raises:
        BundleError: if onnxruntime or `tokenizers` cannot open a file, or, in `embed_texts`, cannot run it.
    """

    def __init__(self, *, files: TextOnnxFiles, threads: int | None) -> None:
        self._tokenizer = _opened_tokenizer(files.folder / TOKENIZER_FILE, files.tokenizer)
        self._prompt = files.prompt
        self._graph = OnnxGraph(path=files.folder / TEXT_ONNX_FILE, content=files.graph, threads=threads)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts, 1 or more -> (N, D) of unit length."""
        parts = [self._embedded(texts[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE)]
        return np.concatenate(parts)

    def tokens_read(self, text: str) -> int | None:
        """After how many tokens it stops reading this text; None: it reads all of it."""
        (found,) = self._tokenizer.encode_batch([self._prompt + text])
        return len(found.ids) if found.overflowing else None

    def _embedded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = self._tokenizer.encode_batch([self._prompt + text for text in texts])
        values = {
            TOKENS_INPUT: np.array([one.ids for one in found], dtype=np.int64),
            MASK_INPUT: np.array([one.attention_mask for one in found], dtype=np.int64),
        }
        return self._graph.run({name: values[name] for name in values if name in self._graph.inputs})


def _opened_tokenizer(path: Path, content: bytes) -> Any:
    from tokenizers import Tokenizer  # of an extra

    try:
        opened: Any = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # the library raises `Exception` itself
        raise BundleError(f"{path}: tokenizers cannot open it: {first_line(error, to=200)}") from None
    padding = opened.padding or {}
    if max(padding.get("length") or 0, padding.get("pad_to_multiple_of") or 0) > _LONGEST:
        raise BundleError(f"{path}: fills texts up to {padding} tokens; allowed: {_LONGEST:,} at most")
    return opened
