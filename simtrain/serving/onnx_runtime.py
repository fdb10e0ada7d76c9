"""An encoder that was exported to ONNX, run by onnxruntime; without torch."""

# Shapes: N images or texts, S = image_size, L tokens of the longest text, D dimensions of the embedding.

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, first_line

ONNX_FILE = "encoder.onnx"
TEXT_ONNX_FILE = "text_encoder.onnx"
TOKENIZER_FILE = "text_tokenizer.json"
INPUT_NAME = "pixel_values"
OUTPUT_NAME = "embeddings"
RUNTIME = "onnxruntime"


def can_run_onnx() -> bool:
    """Whether onnxruntime is installed."""
    return importlib.util.find_spec(RUNTIME) is not None


class OnnxGraph:
    """A network that gives `embeddings`, run by onnxruntime on the CPU.

    Args:
        path: File of the network.
        content: Of that file, where it has been read; None: it is read.
        threads: Number of threads that compute, 1 or more; None: one for each core.

    Attributes:
        inputs: Names of what it reads.
        fixed_rows: Number of rows that it takes at once; None: any.

    Raises:
        BundleError: if onnxruntime cannot open it, or, in `run`, cannot run it.
    """

    def __init__(self, *, path: Path, content: bytes | None, threads: int | None) -> None:
        import onnxruntime  # of an extra

        self._path = path
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        options.intra_op_num_threads = threads or 0
        try:
            model = str(path) if content is None else content
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base
            raise BundleError(f"{path}: onnxruntime cannot open it: {first_line(error, to=200)}") from error
        read = self._session.get_inputs()
        self.inputs = [str(one.name) for one in read]
        self.fixed_rows = next((one.shape[0] for one in read if isinstance(one.shape[0], int)), None)

    def run(self, values: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Inputs by name, N rows each -> (N, D) embeddings."""
        try:
            (result,) = self._session.run([OUTPUT_NAME], dict(values))
        except Exception as error:  # of an exported file that is not ours, or of images of another size
            raise BundleError(f"{self._path}: onnxruntime cannot run it: {first_line(error, to=200)}") from error
        embeddings: NDArray[np.float32] = result
        return embeddings


class OnnxEncoder:
    """An encoder of images that `export_onnx` wrote, run by onnxruntime on the CPU.

    Args:
        path: File that `export_onnx` wrote.
        content: Of that file, where it has been read; None: it is read.
        threads: Number of threads that compute, 1 or more; None: one for each core.

    Attributes:
        fixed_rows: Number of images that it takes at once; None: any.

    Raises:
        BundleError: if onnxruntime cannot open it, or, in `embed`, cannot run it.
    """

    def __init__(self, *, path: Path, content: bytes | None = None, threads: int | None = None) -> None:
        self._graph = OnnxGraph(path=path, content=content, threads=threads)
        self.fixed_rows = self._graph.fixed_rows

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, S, S) normalised images -> (N, D) embeddings of unit length."""
        return self._graph.run({INPUT_NAME: np.ascontiguousarray(images)})
