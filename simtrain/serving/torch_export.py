"""Export of an encoder as a program of `torch.export`, which torch opens without simtrain."""

# Shapes: N images, S = image_size, D dimensions of the embedding.

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError, first_line
from simtrain.files import whole_file
from simtrain.serving.export_format import ExportFormat
from simtrain.serving.traced_embedding import TracedEmbedding, check_batches, example_images, quiet_exporter

PROGRAM_FILE = "encoder.pt2"
_RUNTIME = "torch.export"


class TorchProgram:
    """An encoder that was opened from its program.

    Args:
        path: File that `export_program` wrote.
    """

    def __init__(self, *, path: Path) -> None:
        with quiet_exporter():
            self._network = torch.export.load(path).module()

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, S, S) normalised images -> (N, D) embeddings of unit length."""
        with torch.inference_mode():
            embeddings: NDArray[np.float32] = self._network(torch.from_numpy(images)).numpy()
        return embeddings


def export_program(encoder: Encoder, path: Path) -> None:
    """Write `encoder.embed` as a program, whole or not at all, and compare it with torch on batches of 1 to 3.

    `torch.export.load(path).module()` takes (N, 3, S, S) float32, normalised as the encoder's preprocessing says, N
    free, and gives (N, D) float32 of unit length. The file is a zip of JSON and plain numbers: the examples that torch
    would pickle into it are left out.

    Args:
        encoder: Encoder on the CPU, in evaluation mode.
        path: File to write.

    Raises:
        BundleError: if the network cannot be exported, or gives other embeddings as a program.
        OSError: if the disk is full.
    """
    content = _program(encoder, path)
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
        exported = TorchProgram(path=temporary)
        check_batches(encoder, exported, name=path.name, runtime=_RUNTIME)


TORCH_EXPORT = ExportFormat(
    name="torch_export",
    file=PROGRAM_FILE,
    runtime=_RUNTIME,
    extra=None,
    available=lambda: True,
    write=export_program,
    open=lambda path: TorchProgram(path=path),
)


def _program(encoder: Encoder, path: Path) -> bytes:
    content = io.BytesIO()
    with quiet_exporter():
        try:
            program = torch.export.export(
                TracedEmbedding(encoder=encoder).eval(),
                (example_images(encoder)[:2],),
                dynamic_shapes={"pixel_values": {0: torch.export.Dim("batch")}},
            )
            for node in program.graph.nodes:
                node.meta.pop("stack_trace", None)  # paths of this machine, in a file that is given away
            program.example_inputs = None
            torch.export.save(program, content)
        except Exception as error:  # the exporter raises whatever the network's code trips over
            raise BundleError(
                f"{path.parent}: {type(encoder).__name__} cannot be exported by {_RUNTIME}: "
                f"{first_line(error, to=200)}; export the bundle without it: --set export.{TORCH_EXPORT.name}=false"
            ) from error
    _check_plain(content, path)
    return content.getvalue()


def _check_plain(content: io.BytesIO, path: Path) -> None:
    """Refuse tensors that torch has pickled, as it does with those of its subclasses: a bundle holds no pickle."""
    with zipfile.ZipFile(content) as archive:
        for name in archive.namelist():
            if name.endswith("_config.json") and b'"use_pickle": true' in archive.read(name):
                raise BundleError(
                    f"{path.parent}: {_RUNTIME} pickles a tensor of this encoder, which a bundle never holds; export "
                    f"the bundle without it: --set export.{TORCH_EXPORT.name}=false"
                )
