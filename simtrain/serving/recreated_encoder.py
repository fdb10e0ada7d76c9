"""A bundle's encoder, re-created with torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from simtrain.encoders.base import Encoder
from simtrain.encoders.claimed_sizes import check_claimed_sizes
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.whitening import load_whitening
from simtrain.errors import BundleError, CheckpointError, SimtrainError, first_line
from simtrain.own_code import whose_code
from simtrain.phrases import shortened
from simtrain.serving.bundle import ENCODER_FILE, ENCODER_FOLDER, WEIGHTS_FILE, WHITENING_FILE, Bundle
from simtrain.serving.torch_query_encoder import TorchQueryEncoder

NetworkFactory = Callable[[dict[str, Any], Preprocessing], Encoder]
"""From an encoder's configuration and preprocessing to that encoder, its weights still whatever they are."""


def recreated_encoder(bundle: Bundle, network_factory: NetworkFactory) -> Encoder:
    """See `Bundle.load_encoder`."""
    with _library_errors(bundle.folder / ENCODER_FOLDER):
        return _checked(bundle, network_factory)


def _checked(bundle: Bundle, network_factory: NetworkFactory) -> Encoder:
    _check_claims(bundle)
    encoder = network_factory(bundle.config_to_open, bundle.preprocessing)
    if encoder.preprocessing != bundle.preprocessing:
        raise BundleError(
            f"{bundle.folder / ENCODER_FILE}: the re-created encoder prepares images otherwise: "
            f"{encoder.preprocessing}; the bundle's is {bundle.preprocessing}"
        )
    encoder = encoder.float().cpu()
    if not bundle.has_own_folder:
        _fill(encoder, bundle.folder / WEIGHTS_FILE, bundle.content(WEIGHTS_FILE))
    if bundle.manifest["encoder"].get("whitened", False):
        _whiten(encoder, bundle.folder / WHITENING_FILE)
    encoder.eval()
    bundle.check_opened_by_path()
    bundle.check_golden(TorchQueryEncoder(encoder=encoder, device=torch.device("cpu")))
    return encoder


def _check_claims(bundle: Bundle) -> None:
    """Refuse a configuration of more than the weights hold; a model's own folder is looked at where it is opened."""
    if bundle.has_own_folder:
        return
    try:
        weights, where = bundle.folder / WEIGHTS_FILE, str(bundle.folder / ENCODER_FILE)
        check_claimed_sizes(bundle.config_to_open, weights, where=where)
    except CheckpointError as error:
        raise BundleError(str(error)) from None


@contextmanager
def _library_errors(folder: Path) -> Iterator[None]:
    """What the encoder's library raises is about what the bundle tells it, unless code of the user's own raised it."""
    try:
        yield
    except (SimtrainError, OSError, MemoryError):
        raise
    except Exception as error:  # whatever a library makes of another network than its weights are of
        if whose_code(error) is not None:
            raise
        raise BundleError(
            f"{folder}: does not work as the bundle describes it: {type(error).__name__}: {first_line(error, to=160)}; "
            "export the bundle again"
        ) from error


def _fill(encoder: Encoder, path: Path, content: bytes) -> None:
    try:
        encoder.load_state_dict(load(content), strict=True)
    except (RuntimeError, SafetensorError) as error:
        reason = shortened(str(error), to=300)
        raise BundleError(f"{path}: does not fit the network that its configuration makes: {reason}") from None


def _whiten(encoder: Encoder, path: Path) -> None:
    try:
        whitening, _ = load_whitening(path)
        encoder.whiten(whitening)
    except (CheckpointError, ValueError) as error:
        raise BundleError(f"{path}: does not fit the encoder: {first_line(error)}") from None
