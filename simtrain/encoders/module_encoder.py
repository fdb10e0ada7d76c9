"""Any `nn.Module` from images to vectors, as an encoder."""

# Shapes: N images, S = image_size, F features of the network, D dimensions.

import hashlib

import torch
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.memory_format import for_plain_memory, needs_plain_memory
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import ConfigError, first_line
from simtrain.own_code import line_of

_ABOUT_SIZES = (RuntimeError, ValueError, AssertionError, IndexError)  # what networks raise for a size they cannot take


class ModuleEncoder(Encoder):
    """A network of one's own between our preprocessing and our embeddings.

    Args:
        network: Maps (N, 3, S, S) normalised images to (N, F) vectors.
        preprocessing: How images are prepared for it.
        embedding_size: D of a linear layer from F that is added and trained; None: the vectors themselves.

    Raises:
        ConfigError: of `network`, if it gives something else for two images of the preprocessing's size, or numbers
            that are not finite; of `image_size`, if it cannot take that size.
    """

    def __init__(self, *, network: nn.Module, preprocessing: Preprocessing, embedding_size: int | None) -> None:
        super().__init__(
            preprocessing=preprocessing,
            feature_size=_output_size(network, image_size=preprocessing.image_size),
            embedding_size=embedding_size,
        )
        self.network = network
        self._in_plain_memory = needs_plain_memory(network)

    @override
    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(for_plain_memory(images) if self._in_plain_memory else images)
        return features

    @property
    def behaviour(self) -> str:
        """A name for what the network does to two images, for networks that differ in their code alone."""
        with torch.no_grad():
            output = _trial(self.network, image_size=self.preprocessing.image_size)
        return hashlib.sha256(str(output.double().cpu().numpy().round(3).tolist()).encode()).hexdigest()

    def check_size(self, image_size: int) -> None:
        """See that the network takes images of another size.

        Raises:
            ConfigError: of `image_size`, if it does not, or gives vectors of another length.
        """
        found, expected = _output_size(self.network, image_size=image_size), _feature_size(self)
        if found != expected:
            raise ConfigError(
                f"{image_size} px give vectors of {found} dimensions, {self.training_image_size} px of {expected}",
                argument="image_size",
            )

    def check_learns(self) -> None:
        """See that training can change the embeddings.

        Raises:
            ConfigError: of `network`, if it has no weights that learn, or its vectors carry no gradient to them.
        """
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise ConfigError("has no weights that learn, so there is nothing to train", argument="network")
        with torch.enable_grad():
            output = self.reduction(_trial(self.network, image_size=self.training_image_size))
        if not output.requires_grad:
            raise ConfigError(
                "its vectors carry no gradient, so that it cannot be trained (torch.no_grad, detach or numpy inside?)",
                argument="network",
            )


def _feature_size(encoder: ModuleEncoder) -> int:
    return encoder.reduction.in_features if isinstance(encoder.reduction, nn.Linear) else encoder.embedding_size


def _output_size(network: nn.Module, *, image_size: int) -> int:
    """F, of a trial that leaves the network's mode and statistics as they were."""
    with torch.no_grad():
        output = _trial(network, image_size=image_size)
    if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[0] != 2:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ConfigError(
            f"(2, 3, {image_size}, {image_size}) images gave {got}; allowed: (2, D), a vector for each",
            argument="network",
        )
    if not torch.isfinite(output).all():
        raise ConfigError("two images gave numbers that are not finite", argument="network")
    return int(output.shape[1])


def _trial(network: nn.Module, *, image_size: int) -> Tensor:
    """(2, F) of two random images, in evaluation mode; whatever else the network may give."""
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    images = torch.randn(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0)).to(device)
    modes = {part: part.training for part in network.modules()}
    try:
        output: Tensor = network.eval()(images)
    except NotImplementedError as error:
        raise ConfigError(f"has no forward: {first_line(error)}", argument="network") from None
    except _ABOUT_SIZES as error:
        reason = f"{type(error).__name__}: {first_line(error)}{line_of(error)}"
        raise ConfigError(
            f"the network fails on images of {image_size} px: {reason[:300]}", argument="image_size"
        ) from error
    finally:
        for part, was_training in modes.items():
            part.training = was_training
    return output
