"""An encoder that was exported to ONNX, run by onnxruntime; without torch."""

# Shapes: N images, S = image_size, D dimensions of the embedding.

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, first_line

ONNX_FILE = "encoder.onnx"
INPUT_NAME = "pixel_values"
OUTPUT_NAME = "embeddings"
RUNTIME = "onnxruntime"


def can_run_onnx() -> bool:
    """Whether onnxruntime is installed."""
    return importlib.util.find_spec(RUNTIME) is not None


class OnnxEncoder:
    """An encoder that `export_onnx` wrote, run by onnxruntime on the CPU.

    Args:
        path: File that `export_onnx` wrote.
        content: Of that file, where it has been read; None: it is read.
        threads: Number of threads that compute, 1 or more; None: one for each core.

    Raises:
        BundleError: if onnxruntime cannot open it, or, in `embed`, cannot run it.
    """

    def __init__(self, *, path: Path, content: bytes | None = None, threads: int | None = None) -> None:
        import onnxruntime  # of an extra

        self._path = path
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        options.intra_op_num_threads = threads or 0
        try:
            model = str(path) if content is None else content
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base
            raise BundleError(f"{path}: onnxruntime cannot open it: {first_line(error)[:200]}") from error

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, S, S) normalised images -> (N, D) embeddings of unit length."""
        try:
            (result,) = self._session.run([OUTPUT_NAME], {INPUT_NAME: np.ascontiguousarray(images)})
        except Exception as error:  # of an exported file that is not ours, or of images of another size
            raise BundleError(f"{self._path}: onnxruntime cannot run it: {first_line(error)[:200]}") from error
        embeddings: NDArray[np.float32] = result
        return embeddings
