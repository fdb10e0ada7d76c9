"""A bundle's `encoder.onnx` and `text_encoder.onnx` for the queries of a search, without torch."""

# Shapes: N images or texts, S = image_size, D dimensions of the embedding.

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.golden import check_golden_texts
from simtrain.serving.onnx_runtime import ONNX_FILE, TEXT_ONNX_FILE, TOKENIZER_FILE, OnnxEncoder, can_run_onnx
from simtrain.serving.onnx_text_encoder import OnnxTextEncoder, TextOnnxFiles, can_tokenize
from simtrain.serving.query_encoder import NO_TEXT_TOWER

_TEXTS_NEED_TORCH = (
    f"{ONNX_FILE} embeds images only; a search by text needs torch: pip install simtrain; or {TEXT_ONNX_FILE}: export "
    "the run again"
)
_TEXTS_NEED_TOKENIZERS = f"{TEXT_ONNX_FILE} needs tokenizers: pip install tokenizers"


@dataclass(frozen=True, kw_only=True)
class OnnxQueryEncoder:
    """A `QueryEncoder` that onnxruntime runs.

    Attributes:
        onnx: The exported encoder of images; None: it was opened for texts alone.
        texts: The exported encoder of texts; None: there is none, or it was opened for images alone.
        preprocessing: Preprocessing of its images.
        embedding_size: D.
        no_texts: Why it embeds no texts, and what to do; None: it does.
    """

    onnx: OnnxEncoder | None
    texts: OnnxTextEncoder | None
    preprocessing: Preprocessing
    embedding_size: int
    no_texts: str | None

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, S, S, 3) -> (N, D) of unit length, whitening and mirror images included.

        Raises:
            ValueError: if it was opened for texts alone.
        """
        if self.onnx is None:
            raise ValueError("opened for texts alone; open it for images too")
        return self.onnx.embed(self.preprocessing.normalised(pixels))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts, 1 or more -> (N, D) of unit length.

        Raises:
            BundleError: without the text side.
            ValueError: if it was opened for images alone.
        """
        return self._text_side().embed_texts(texts)

    def tokens_read(self, text: str) -> int | None:
        """After how many tokens it stops reading this text; None: it reads all of it, or reads no texts."""
        return None if self.no_texts is not None else self._text_side().tokens_read(text)

    def _text_side(self) -> OnnxTextEncoder:
        if self.no_texts is not None:
            raise BundleError(self.no_texts)
        if self.texts is None:
            raise ValueError("opened for images alone; open it for texts too")
        return self.texts


def suits_onnx(bundle: Bundle, *, texts: bool, code_allowed: bool) -> bool:
    """Whether ONNX answers the queries of a bundle here; else torch does.

    Args:
        bundle: An open bundle.
        texts: Whether texts may be asked for; without `text_encoder.onnx` torch embeds them where it is installed.
        code_allowed: Whether the user's own code may be imported, which then is the encoder.
    """
    if bundle.onnx_path is None or not can_run_onnx():
        return False
    if code_allowed and bundle.encoder_config["kind"] == "python":
        return False
    if not texts or not bundle.reads_texts or _embeds_texts(bundle):
        return True
    return importlib.util.find_spec("torch") is None


def onnx_query_encoder(
    bundle: Bundle, *, images: bool = True, texts: bool = False, threads: int | None = None
) -> OnnxQueryEncoder:
    """The ONNX files of a bundle that has them, checked to give the bundle's golden embeddings.

    Args:
        bundle: An open bundle.
        images: Whether images may be asked for.
        texts: Whether texts may be asked for, where the bundle reads them.
        threads: Number of threads that compute, 1 or more; None: one for each core.

    Raises:
        BundleError: if onnxruntime cannot open or run them, or they give other embeddings.
    """
    with_texts = texts and bundle.reads_texts and _embeds_texts(bundle)
    encoder = OnnxQueryEncoder(
        onnx=_image_side(bundle, threads=threads) if images else None,
        texts=onnx_text_encoder(bundle, threads=threads) if with_texts else None,
        preprocessing=bundle.preprocessing,
        embedding_size=bundle.index.dimensions,
        no_texts=_why_no_texts(bundle),
    )
    if images:
        bundle.check_golden_images(encoder)
    if with_texts:
        check_golden_texts(bundle.golden, encoder)
    return encoder


def has_text_onnx(bundle: Bundle) -> bool:
    """Whether a bundle has `text_encoder.onnx`, with its tokenizer."""
    return {TEXT_ONNX_FILE, TOKENIZER_FILE} <= set(bundle.manifest["files"])


def onnx_text_encoder(bundle: Bundle, *, threads: int | None = None) -> OnnxTextEncoder:
    """The `text_encoder.onnx` of a bundle that has one, not yet checked.

    Raises:
        BundleError: if it or its tokenizer cannot be opened.
    """
    files = TextOnnxFiles(
        folder=bundle.folder,
        graph=bundle.content(TEXT_ONNX_FILE),
        tokenizer=bundle.content(TOKENIZER_FILE),
        prompt=str(bundle.manifest["encoder"].get("text_prompt", "")),
    )
    return OnnxTextEncoder(files=files, threads=threads)


def _image_side(bundle: Bundle, *, threads: int | None) -> OnnxEncoder:
    return OnnxEncoder(path=bundle.folder / ONNX_FILE, content=bundle.content(ONNX_FILE), threads=threads)


def _embeds_texts(bundle: Bundle) -> bool:
    return has_text_onnx(bundle) and can_tokenize()


def _why_no_texts(bundle: Bundle) -> str | None:
    if not bundle.reads_texts:
        return NO_TEXT_TOWER
    if not has_text_onnx(bundle):
        return _TEXTS_NEED_TORCH
    return None if can_tokenize() else _TEXTS_NEED_TOKENIZERS
