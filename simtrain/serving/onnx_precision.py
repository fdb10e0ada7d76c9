"""Smaller copies of `encoder.onnx`: of float16 numbers, or with 8-bit integers in its layers."""

# Shapes: N images, S = image_size, D dimensions of the embedding.

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import BundleError, first_line
from simtrain.files import whole_file
from simtrain.serving.export_format import ExportFormat
from simtrain.serving.onnx_export import onnx_available
from simtrain.serving.onnx_runtime import INPUT_NAME, ONNX_FILE, RUNTIME, OnnxEncoder

Precision = Literal["float16", "int8"]
PRECISION_FILES: dict[Precision, str] = {"float16": "encoder.float16.onnx", "int8": "encoder.int8.onnx"}
_HEAVY = ("Conv", "MatMul", "Gemm")
_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class PrecisionSample:
    """Images that a smaller copy is adjusted to and measured on.

    Attributes:
        calibration: (C, S, S, 3) uint8 training images, 1 or more, from which the ranges of 8-bit integers are taken.
        pixels: (N, S, S, 3) uint8 images that it is measured on.
        expected: (N, D) embeddings of those by the encoder itself.
        figures: (N, D) embeddings of those by the copy -> what the manifest says of it, besides the differences.
    """

    calibration: NDArray[np.uint8]
    pixels: NDArray[np.uint8]
    expected: NDArray[np.float32]
    figures: Callable[[NDArray[np.float32]], dict[str, Any]]


def smaller_onnx(precision: Precision, sample: PrecisionSample) -> ExportFormat:
    """The format of a smaller copy of `encoder.onnx`, to be written after that.

    Args:
        precision: `float16`: weights and sums but the last ones, of the embedding, which stay float32. `int8`: weights
            of 8 bits; inputs of layers too, in networks of convolutions by their range on the calibration images, in
            transformers by that of the batch: an image's embedding then depends a little on the others of its batch.
        sample: Images to adjust it to and to measure it on.
    """
    return ExportFormat(
        name="onnx_precisions",
        file=PRECISION_FILES[precision],
        runtime=RUNTIME,
        extra="export",
        available=onnx_available,
        write=partial(_write, precision=precision, sample=sample),
        open=lambda path: OnnxEncoder(path=path),
    )


def _write(encoder: Encoder, path: Path, *, precision: Precision, sample: PrecisionSample) -> dict[str, Any]:
    """Write the copy and measure it, one image at a time.

    Raises:
        BundleError: if it cannot be made, or gives no numbers.
        OSError: if the disk is full.
    """
    source = path.with_name(ONNX_FILE)
    whitened = encoder.whitening is not None
    with whole_file(path) as temporary:
        with _quiet():
            try:
                if precision == "float16":
                    _write_float16(source, temporary, whitened=whitened)
                else:
                    images = _Calibration(sample.calibration, preprocessing=encoder.preprocessing)
                    _write_int8(source, temporary, images=images, whitened=whitened)
            except OSError:
                raise
            except Exception as error:  # the converters raise whatever they trip over
                raise BundleError(
                    f"{path}: cannot be made of {ONNX_FILE}: {first_line(error, to=200)}; leave {precision} out"
                ) from error
        opened = OnnxEncoder(path=temporary)
        alone = (encoder.preprocessing.normalised(image[None]) for image in sample.pixels)
        found = np.concatenate([opened.embed(image) for image in alone])
        if not np.isfinite(found).all():
            raise BundleError(
                f"{path}: some embeddings are not finite (numbers too large for {precision}?); leave it out"
            )
        return {
            "precision": precision,
            "bytes": temporary.stat().st_size,
            "bytes_of_float32": source.stat().st_size,
            "images": len(found),
            "largest_difference": float(np.abs(found - sample.expected).max()),
            "lowest_cosine": float((found * sample.expected).sum(axis=1).min()),
            **sample.figures(found),
        }


def _write_float16(source: Path, path: Path, *, whitened: bool) -> None:
    import onnx
    from onnxruntime.transformers import float16

    model = onnx.load(source)
    exact = _last_nodes(model, whitened=whitened)
    made = float16.convert_float_to_float16(model, keep_io_types=True, node_block_list=exact)
    _drop_rounding(made, exact=set(exact), half=onnx.TensorProto.FLOAT16)
    onnx.save(made, path)


def _drop_rounding(model: Any, *, exact: set[str], half: int) -> None:
    """What a float32 node gives to the next one must not pass through float16, where the converter sends it.

    Args:
        model: Converted model; changed in place.
        exact: Names of the nodes that stay float32.
        half: ONNX's number for float16.
    """
    made_by = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        rounding = made_by.get(node.input[0]) if node.op_type == "Cast" else None
        if rounding is None or rounding.op_type != "Cast" or rounding.attribute[0].i != half:
            continue
        origin = made_by.get(rounding.input[0])
        if origin is not None and origin.name in exact and node.attribute[0].i != half:
            node.op_type = "Identity"
            node.input[0] = rounding.input[0]
            del node.attribute[:]


def _write_int8(source: Path, path: Path, *, images: "_Calibration", whitened: bool) -> None:
    """Networks with more than one convolution by ranges that are measured beforehand; a transformer has one at most."""
    import onnx
    from onnxruntime.quantization import quant_pre_process, quantize_dynamic, quantize_static

    with TemporaryDirectory(dir=path.parent) as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        exact = _last_nodes(model, whitened=whitened)
        if sum(node.op_type == "Conv" for node in model.graph.node) > 1:
            quantize_static(prepared, path, images, per_channel=True, nodes_to_exclude=exact)
        else:
            layers = ["MatMul", "Gemm"]
            quantize_dynamic(prepared, path, op_types_to_quantize=layers, per_channel=True, nodes_to_exclude=exact)


def _last_nodes(model: Any, *, whitened: bool) -> list[str]:
    """Names of the nodes that make the embedding of the last layer's output: pooling, lengths, whitening."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    waiting, seen = [model.graph.output[0].name], set()
    names: list[str] = []
    while waiting:
        node = made_by.get(waiting.pop(0))
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if node.op_type in _HEAVY:
            if not whitened:
                continue
            whitened = False  # nearest to the output: the projection of the whitening
        names.append(node.name)
        waiting += node.input
    return names


class _Calibration:
    """Batches of images for onnxruntime's calibration, which asks until there is none."""

    def __init__(self, pixels: NDArray[np.uint8], *, preprocessing: Preprocessing) -> None:
        self._batches = iter(
            preprocessing.normalised(pixels[start : start + _AT_ONCE]) for start in range(0, len(pixels), _AT_ONCE)
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch by the name of its input; None: that was all."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


def precision_lines(exports: dict[str, dict[str, Any]]) -> list[str]:
    """One line for each smaller copy: its size, its recall, its differences.

    Args:
        exports: As the manifest has them: name of a file -> figures.
    """
    return [_line(name, figures) for name, figures in exports.items()]


def _line(name: str, figures: dict[str, Any]) -> str:
    megabytes, before = figures["bytes"] / 1e6, figures["bytes_of_float32"] / 1e6
    if "recall_at_10" in figures:
        own, exact = figures["recall_at_10"], figures["recall_at_10_of_float32"]
        recall = f"recall_at_10 on val {own:.4f} ({own - exact:+.4f})"
    else:
        recall = f"finds {100 * figures['neighbours_kept']:.1f} % of the 10 nearest items"
    return (
        f"{name}: {megabytes:.1f} MB ({ONNX_FILE}: {before:.1f}), {recall}, lowest cosine to it "
        f"{figures['lowest_cosine']:.4f}, numbers differ by up to {figures['largest_difference']:.2g} "
        f"({figures['images']} images); searches use {ONNX_FILE}"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """The converters tell of each number that they round; the figures say what that costs."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
