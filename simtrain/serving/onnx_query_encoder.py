"""A bundle's `encoder.onnx` for the queries of a search, without torch."""

# Shapes: N images or texts, S = image_size, D dimensions of the embedding.

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.onnx_runtime import ONNX_FILE, OnnxEncoder, can_run_onnx
from simtrain.serving.query_encoder import NO_TEXT_TOWER

_TEXTS_NEED_TORCH = f"{ONNX_FILE} embeds images only; a search by text needs torch: pip install simtrain"


@dataclass(frozen=True, kw_only=True)
class OnnxQueryEncoder:
    """A `QueryEncoder` that onnxruntime runs.

    Attributes:
        onnx: The exported encoder.
        preprocessing: Preprocessing of its images.
        embedding_size: D.
        no_texts: Why it embeds no texts, and what to do.
    """

    onnx: OnnxEncoder
    preprocessing: Preprocessing
    embedding_size: int
    no_texts: str

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, S, S, 3) -> (N, D) of unit length, whitening and mirror images included."""
        return self.onnx.embed(self.preprocessing.normalised(pixels))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raises: `BundleError`, as the file holds the image side alone."""
        raise BundleError(self.no_texts)

    def tokens_read(self, text: str) -> int | None:
        """None: it reads no texts."""
        return None


def suits_onnx(bundle: Bundle, *, texts: bool, code_allowed: bool) -> bool:
    """Whether `encoder.onnx` answers the queries of a bundle here; else torch does.

    Args:
        bundle: An open bundle.
        texts: Whether texts may be asked for; torch embeds them where it is installed.
        code_allowed: Whether the user's own code may be imported, which then is the encoder.
    """
    if bundle.onnx_path is None or not can_run_onnx():
        return False
    if code_allowed and bundle.encoder_config["kind"] == "python":
        return False
    return not (texts and bundle.reads_texts and importlib.util.find_spec("torch") is not None)


def onnx_query_encoder(bundle: Bundle, *, threads: int | None = None) -> OnnxQueryEncoder:
    """The `encoder.onnx` of a bundle that has one, checked to give the bundle's golden embeddings of images.

    Args:
        bundle: An open bundle.
        threads: Number of threads that compute, 1 or more; None: one for each core.

    Raises:
        BundleError: if onnxruntime cannot open or run it, or it gives other embeddings.
    """
    encoder = OnnxQueryEncoder(
        onnx=OnnxEncoder(path=bundle.folder / ONNX_FILE, content=bundle.content(ONNX_FILE), threads=threads),
        preprocessing=bundle.preprocessing,
        embedding_size=bundle.index.dimensions,
        no_texts=_TEXTS_NEED_TORCH if bundle.reads_texts else NO_TEXT_TOWER,
    )
    bundle.check_golden_images(encoder)
    return encoder
