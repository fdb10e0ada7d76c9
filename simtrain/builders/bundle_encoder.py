"""Encoder of a bundle: re-created with torch, or its ONNX file where it is code that may not be imported."""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.config import EncoderConfig, NamedCode, parse_encoder
from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError, SimtrainError
from simtrain.serving.bundle import Bundle
from simtrain.serving.manifest import MANIFEST_FILE
from simtrain.serving.onnx_bundle_encoder import OnnxBundleEncoder
from simtrain.serving.onnx_runtime import ONNX_FILE, can_run_onnx
from simtrain.serving.replacement import open_while_replaced
from simtrain.serving.torch_query_encoder import TorchQueryEncoder


def open_with_encoder(
    folder: Path, *, network: nn.Module | None = None, like: EncoderConfig | None = None
) -> tuple[Bundle, Encoder]:
    """A bundle and its encoder, both of one bundle also where the folder is replaced meanwhile.

    Args:
        folder: The bundle's folder.
        network: As `build_bundle_encoder` takes it.
        like: As `build_bundle_encoder` takes it.

    Raises:
        SimtrainError: as `Bundle.open` and `build_bundle_encoder`.
    """

    def opening() -> tuple[Bundle, Encoder]:
        bundle = Bundle.open(folder)
        return bundle, build_bundle_encoder(bundle, network=network, like=like)

    return open_while_replaced(folder, opening)


def build_bundle_encoder(
    bundle: Bundle, *, network: nn.Module | None = None, like: EncoderConfig | None = None
) -> Encoder:
    """The encoder of a bundle, checked to give the bundle's golden embeddings on the CPU.

    Of a bundle whose encoder is code of somebody's own the ONNX file is run, where there is one and onnxruntime is
    installed, unless the code may be imported or is in memory.

    Args:
        bundle: An open bundle.
        network: The network again, for a bundle whose encoder was handed over as an object; None: none.
        like: A section in memory whose permission and object hold for the bundle too; None: none.

    Raises:
        CodeNotAllowedError: if it is code that may not be imported, and there is no ONNX file to run.
        BundleError: for other embeddings than the bundle's, or a network where the bundle needs none.
    """
    file = str(bundle.folder / MANIFEST_FILE)
    try:
        section = parse_encoder(bundle.encoder_config, where=file)
    except SimtrainError:  # of a version that has other settings; re-creating it says which
        section = None
    if network is not None:
        if not isinstance(section, NamedCode):
            raise BundleError(f"{file}: its encoder is no code of your own; leave the network out")
        like = section.holding(network)
    if isinstance(section, NamedCode):
        code = section.like(like)
        imported = code.handed_over is not None or (code.is_allowed and not code.instance)
        if not imported and bundle.onnx_path is not None and can_run_onnx():
            encoder = OnnxBundleEncoder(
                path=bundle.onnx_path,
                content=bundle.content(ONNX_FILE),
                preprocessing=bundle.preprocessing,
                embedding_size=int(bundle.manifest["encoder"]["embedding_size"]),
            )
            bundle.check_golden(TorchQueryEncoder(encoder=encoder, device=torch.device("cpu")))
            return encoder
    return bundle.load_encoder(partial(encoder_without_weights, file=file, like=like))
