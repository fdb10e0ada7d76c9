"""Export of an encoder's text side to ONNX, with its tokenizer as data."""

# Shapes: N texts, L tokens of the longest of them, D dimensions of the embedding.

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.text import TokenizedTextEncoder
from simtrain.errors import BundleError
from simtrain.files import whole_file
from simtrain.serving.export_format import ExportFormat, check_equal
from simtrain.serving.golden import GOLDEN_TEXTS
from simtrain.serving.onnx_export import GraphSource, onnx_available, write_graph
from simtrain.serving.onnx_runtime import RUNTIME, TEXT_ONNX_FILE, TOKENIZER_FILE
from simtrain.serving.onnx_text_encoder import (
    MASK_INPUT,
    TOKENS_INPUT,
    OnnxTextEncoder,
    TextOnnxFiles,
    can_tokenize,
)

_SETTING = "onnx_texts"
_CHECKED_TEXTS = (
    *GOLDEN_TEXTS,
    "", " ", "mug", "mug 🙂👍🏽 rouge", "CAFÉ naïve\n\tof  two", "کفش woman's ۳۸ 杯子", "[SEP] <|endoftext|>",
)  # fmt: skip
"""Beside the golden ones: nothing, little, emoji, accents and white space, mixed scripts, and tokens' own names."""

_EXAMPLES = ("a red mug", "two chairs of wood, black")
_SEGMENTS = "token_type_ids"


def text_onnx_available() -> bool:
    """Whether the packages are installed that write and read an exported text side."""
    return onnx_available() and can_tokenize()


def export_onnx_texts(encoder: Encoder, path: Path) -> None:
    """Write `encoder.embed_texts` as an ONNX file and, beside it, `text_tokenizer.json`; each is compared with torch.

    The file's inputs `input_ids` and `attention_mask` are (N, L) int64, as the tokenizer gives them; its output
    `embeddings` is (N, D) float32 of unit length; N and L are free.

    Args:
        encoder: Encoder on the CPU, in evaluation mode.
        path: The ONNX file to write.

    Raises:
        BundleError: if a package is missing, the encoder has no text side that can be exported, or it gives other
            embeddings as ONNX.
        OSError: if the disk is full.
    """
    if not text_onnx_available():
        needed = "onnx, onnxscript, onnxruntime, tokenizers"
        raise BundleError(f"{path.name}: needs {needed}: pip install 'simtrain[export]'")
    tokenizer = encoder.tokenizer_json() if isinstance(encoder, TokenizedTextEncoder) else None
    if not isinstance(encoder, TokenizedTextEncoder) or tokenizer is None:
        raise BundleError(
            f"{path}: the texts of {type(encoder).__name__} have no tokenizer that the library tokenizers reads; "
            f"export the bundle without it: --set export.{_SETTING}=false"
        )
    with whole_file(path) as temporary, whole_file(path.with_name(TOKENIZER_FILE)) as beside:
        write_graph(_source(encoder), temporary)
        beside.write_text(tokenizer, encoding="utf-8")
        files = TextOnnxFiles(
            folder=path.parent,
            graph=temporary.read_bytes(),
            tokenizer=beside.read_bytes(),
            prompt=encoder.text_prompt,
        )
        _check(encoder, OnnxTextEncoder(files=files, threads=None), name=path.name)


ONNX_TEXTS = ExportFormat(
    name=_SETTING,
    file=TEXT_ONNX_FILE,
    runtime=RUNTIME,
    extra="export",
    available=text_onnx_available,
    write=export_onnx_texts,
    open=None,
)


class _TextEmbedding(nn.Module):
    """Text features as `forward`, made one long."""

    def __init__(self, *, encoder: TokenizedTextEncoder, segments: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self._segments = segments

    @override
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        tokens = {TOKENS_INPUT: input_ids, MASK_INPUT: attention_mask}
        if self._segments:
            tokens[_SEGMENTS] = torch.zeros_like(input_ids)  # each text is one segment
        return F.normalize(self.encoder.text_features(tokens).float(), dim=1)


def _source(encoder: TokenizedTextEncoder) -> GraphSource:
    tokens = encoder.tokenize(_EXAMPLES)
    longest = None if encoder.longest_text == sys.maxsize else encoder.longest_text
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=longest)}
    return GraphSource(
        module=_TextEmbedding(encoder=encoder, segments=_SEGMENTS in tokens),
        example=(tokens[TOKENS_INPUT], tokens.get(MASK_INPUT, torch.ones_like(tokens[TOKENS_INPUT]))),
        shapes={TOKENS_INPUT: free, MASK_INPUT: free},
        name=f"the text side of {type(encoder).__name__}",
        setting=_SETTING,
    )


def _check(encoder: TokenizedTextEncoder, exported: OnnxTextEncoder, *, name: str) -> None:
    """Compare texts of many kinds, together and one by one, and what is told of those that are too long."""
    expected = encoder.embed_texts(_CHECKED_TEXTS).numpy()
    check_equal(expected, exported.embed_texts(_CHECKED_TEXTS), name=name, runtime=RUNTIME)
    for text in _CHECKED_TEXTS:  # a tower may read how far texts are filled up, so torch reads it alone too
        alone = encoder.embed_texts([text]).numpy()
        check_equal(alone, exported.embed_texts([text]), name=name, runtime=RUNTIME)
    cut = {text for text in _CHECKED_TEXTS if exported.tokens_read(text) is not None}
    expected_cut = {_CHECKED_TEXTS[place] for place in encoder.truncated(_CHECKED_TEXTS)}
    if cut != expected_cut:
        raise BundleError(
            f"{name}: its tokenizer cuts {len(cut)} of {len(_CHECKED_TEXTS)} texts, the encoder's cuts "
            f"{len(expected_cut)}; export the bundle without it: --set export.{_SETTING}=false"
        )
