"""Export of an encoder to ONNX."""

# Shapes: N images, S = image_size, D dimensions of the embedding.

import errno
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError, first_line
from simtrain.failures import origins
from simtrain.files import whole_file
from simtrain.serving.export_format import ExportFormat
from simtrain.serving.onnx_runtime import INPUT_NAME, ONNX_FILE, OUTPUT_NAME, RUNTIME, OnnxEncoder
from simtrain.serving.traced_embedding import TracedEmbedding, check_batches, example_images, quiet_exporter

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def onnx_available() -> bool:
    """Whether the packages of the extra `export` are installed."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)


def export_onnx(encoder: Encoder, path: Path) -> None:
    """Write `encoder.embed` as one ONNX file, whole or not at all, and compare it with torch on batches of 1 to 3.

    The file's input `pixel_values` is (N, 3, S, S) float32, normalised as the encoder's preprocessing says; its output
    `embeddings` is (N, D) float32 of unit length; N is free.

    Args:
        encoder: Encoder on the CPU, in evaluation mode.
        path: File to write.

    Raises:
        BundleError: if a package is missing, the network cannot be exported, or gives other embeddings as ONNX.
        OSError: if the disk is full.
    """
    if not onnx_available():
        raise BundleError(f"{path.name}: needs {', '.join(_PACKAGES)}: pip install 'simtrain[export]'")
    network = GraphSource(
        module=TracedEmbedding(encoder=encoder),
        example=(example_images(encoder)[:2],),
        shapes={INPUT_NAME: {0: torch.export.Dim("batch")}},
        name=type(encoder).__name__,
        setting="onnx",
    )
    with whole_file(path) as temporary:
        write_graph(network, temporary)
        exported = OnnxEncoder(path=temporary)
        if exported.fixed_rows is not None:
            raise BundleError(
                f"{type(encoder).__name__} cannot be exported to ONNX: its code makes a constant of the number of "
                "images, as len(images) does (images.shape[0] does not); "
                f"export the bundle without it: --set export.{network.setting}=false"
            )
        check_batches(encoder, exported, name=path.name, runtime=RUNTIME)


ONNX = ExportFormat(
    name="onnx",
    file=ONNX_FILE,
    runtime=RUNTIME,
    extra="export",
    available=onnx_available,
    write=export_onnx,
    open=lambda path: OnnxEncoder(path=path),
)


@dataclass(frozen=True, kw_only=True)
class GraphSource:
    """A network to write as ONNX.

    Attributes:
        module: On the CPU; its `forward` takes what `shapes` names, in that order, and gives (N, D).
        example: What it takes, for 2 images or texts.
        shapes: Name of each input -> its dimensions that are free.
        name: What the network is, for messages.
        setting: The key in `export` that leaves it out.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    shapes: dict[str, dict[int, Any]]
    name: str
    setting: str


def write_graph(source: GraphSource, path: Path) -> None:
    """Write a network as ONNX, whose output is `embeddings`.

    Raises:
        BundleError: if the network cannot be exported.
        OSError: if the disk is full.
    """
    with quiet_exporter():
        try:
            program = torch.onnx.export(
                source.module.eval(),
                source.example,
                dynamo=True,
                dynamic_shapes=source.shapes,
                input_names=list(source.shapes),
                output_names=[OUTPUT_NAME],
                verbose=False,
            )
            assert program is not None
            _forget_origin(program.model)
            program.save(path, external_data=False)
        except Exception as error:  # the exporter raises whatever the network's code trips over
            full = _of_the_disk(error)
            if full is not None:
                raise OSError(full.errno, full.strerror, str(path)) from error
            raise BundleError(
                f"{path.parent}: {source.name} cannot be exported to ONNX: {first_line(error, to=200)}; "
                f"export the bundle without it: --set export.{source.setting}=false"
            ) from error


def _forget_origin(model: Any) -> None:
    """Remove from each node where its line of Python lies: paths of this machine, in a file that is given away."""
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        for part in (graph, *graph.all_nodes()):
            part.metadata_props.clear()
            part.doc_string = None
        for value in (*graph.inputs, *(output for node in graph.all_nodes() for output in node.outputs)):
            value.metadata_props.clear()
            value.doc_string = None
    model.metadata_props.clear()


def _of_the_disk(error: BaseException) -> OSError | None:
    """The error of the disk that an error comes from; None: it comes from none."""
    of_system = (one for one in origins(error) if isinstance(one, OSError))
    return next((one for one in of_system if one.errno in _DISK_ERRORS), None)
