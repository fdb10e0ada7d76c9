"""Base class of image encoders."""

# Shapes: N images, S = image_size, F features of the network, D dimensions of the embedding.

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simtrain.encoders.arithmetic import FLOAT32, Precision, computing_in, in_halves
from simtrain.encoders.lora import fold_factors, has_factors, is_factor, plain_name
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.whitening import Whitening
from simtrain.errors import ConfigError

_PIXELS_AT_ONCE_ON_CPU = 2**20  # about 20 images of 224 x 224


class Encoder(nn.Module, ABC):
    """A network from preprocessed images to embeddings.

    Training goes through `forward` and sees views of `training_image_size`; validation, evaluation, export and search
    go through `embed` and see images of `preprocessing.image_size`.

    Args:
        preprocessing: Preprocessing of images for this network.
        feature_size: Length of the features that `features` returns, F.
        embedding_size: Length of the embeddings, D; None keeps the features as they are, a number adds a linear layer
            from F to D, which starts orthogonal so that it keeps angles as well as a random map can.

    Attributes:
        preprocessing: As given; a later one is of embeddings alone, not of training.
        training_image_size: Side of the square of training views in pixels: that of the given `preprocessing`.
        embedding_size: D; with a whitening, what is left of it.
        whitening: Last step of `embed`, see `whiten`; None: there is none.
        last_layer_is_new: Whether the linear layer starts untrained, and so needs a head's learning rate.
        arithmetic: How many images were last embedded by it.
    """

    def __init__(self, *, preprocessing: Preprocessing, feature_size: int, embedding_size: int | None) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.training_image_size = preprocessing.image_size
        self.last_layer_is_new = True
        self.whitening: Whitening | None = None
        self.arithmetic = FLOAT32
        self._is_compiled = False
        self.embedding_size = feature_size if embedding_size is None else embedding_size
        self.reduction: nn.Module = nn.Identity()
        if embedding_size is not None:
            self.reduction = nn.Linear(feature_size, embedding_size, bias=False)
            nn.init.orthogonal_(self.reduction.weight)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) normalised images -> (N, F) pooled features."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) normalised images -> (N, D) embeddings, not yet of unit length."""
        return cast(Tensor, self.reduction(self.features(images)))

    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) normalised images -> (N, D) float32 embeddings of unit length.

        With `preprocessing.flip_averaging` the mean of those of each image and of its mirror image, made one long
        again; then whitened, if there is a whitening.
        """
        embeddings = F.normalize(self(images).float(), dim=1)
        if self.preprocessing.flip_averaging:
            mirrored = F.normalize(self(images.flip(3)).float(), dim=1)
            embeddings = F.normalize(embeddings + mirrored, dim=1)
        if self.whitening is None:
            return embeddings
        device = embeddings.device.type
        halves = torch.is_autocast_enabled(device)  # it would round the whitening's product too
        with torch.autocast(device, enabled=False) if halves else nullcontext():
            return self.whitening(embeddings)

    def whiten(self, whitening: Whitening) -> None:
        """Whiten what `embed` gives from now on; weights, and what training sees, stay as they are.

        Raises:
            ValueError: if there is a whitening already, or this one is of embeddings of another length.
        """
        if self.whitening is not None:
            raise ValueError("there is a whitening already; whiten an encoder without")
        if len(whitening.mean) != self.embedding_size:
            raise ValueError(
                f"whitening is of embeddings of {len(whitening.mean)} dimensions; these have {self.embedding_size}"
            )
        self.whitening = whitening
        self.embedding_size = whitening.projection.shape[1]

    def unwhitened(self) -> Self:
        """The encoder without its whitening, with the same weights; itself where there is none."""
        if self.whitening is None:
            return self
        plain = copy.copy(self)
        plain.whitening, plain.embedding_size = None, len(self.whitening.mean)
        return plain

    def embed_pixels(self, pixels: Tensor, *, precision: Precision = "32") -> Tensor:
        """(N, S, S, 3) uint8 pixels -> (N, D) float32 embeddings of unit length, without gradients.

        Never by compiled code, whose sums are rounded otherwise. On a CPU some images at a time, so that what passes
        between layers stays small: that is faster, and its memory does not grow with N.

        Args:
            pixels: The images.
            precision: Arithmetic of the network.
        """
        with (
            computing_in(precision, device=pixels.device),
            torch.inference_mode(),
            torch.compiler.set_stance("force_eager") if self._is_compiled else nullcontext(),
        ):
            return torch.cat([self.embed(self._prepared(part, precision)) for part in _parts(pixels)])

    def _prepared(self, pixels: Tensor, precision: Precision) -> Tensor:
        """Normalised images; for float32 on a GPU not in channels-last memory, which is slower there."""
        images = self.preprocessing.normalise(pixels)
        return images.contiguous() if pixels.device.type == "cuda" and not in_halves(precision) else images

    def embed_features(self, features: Tensor) -> Tensor:
        """(N, m, F) features of `pretrained_encoder` -> (N, D) embeddings of unit length, without gradients.

        m = 1; or 2 with `preprocessing.flip_averaging`, of an image and of its mirror image.
        """
        with torch.inference_mode(), torch.autocast(features.device.type, enabled=False):
            embeddings = F.normalize(self.last_layer(features).float(), dim=2)
            return embeddings[:, 0] if features.shape[1] == 1 else F.normalize(embeddings.sum(dim=1), dim=1)

    @property
    def last_layer(self) -> nn.Module:
        """The layer from the features of `pretrained_encoder` to the embedding; the identity where there is none."""
        return self.reduction

    @property
    def training_preprocessing(self) -> Preprocessing:
        """How images are prepared for training views."""
        return replace(self.preprocessing, image_size=self.training_image_size)

    def new_parameters(self) -> list[nn.Parameter]:
        """Parameters that start untrained, which need a head's learning rate.

        Low-rank factors are not among them: they start as no change at all of what is pretrained.
        """
        return list(self.reduction.parameters()) if self.last_layer_is_new else []

    def pretrained_encoder(self) -> "Encoder":
        """The same network, its weights shared, up to what pretraining has seen: without a new last layer."""
        if isinstance(self.reduction, nn.Identity):
            return self
        bare = copy.copy(self)
        bare._modules = {**self._modules, "reduction": nn.Identity()}
        bare.embedding_size = int(cast(nn.Linear, self.reduction).in_features)
        return bare

    def add_last_layer(self) -> None:
        """Add a linear layer that starts as the identity, unless there is one."""
        if isinstance(self.reduction, nn.Identity):
            self.reduction = nn.Linear(self.embedding_size, self.embedding_size, bias=False)
            nn.init.eye_(self.reduction.weight)

    def with_preprocessing(self, preprocessing: Preprocessing) -> Self:
        """The same network, its weights shared, for images that are prepared otherwise."""
        other = copy.copy(self)
        other.preprocessing = preprocessing
        return other

    def depth_of(self) -> dict[str, int]:
        """Name of each parameter -> its layer: 0 at the input, the new last layer above all pretrained ones."""
        fresh = {id(parameter) for parameter in self.new_parameters()}
        pretrained = self.pretrained_depths()
        above = max(pretrained.values(), default=-1) + 1
        return {
            name: above if id(parameter) in fresh else pretrained.get(name, above)
            for name, parameter in self.named_parameters()
        }

    def pretrained_depths(self) -> dict[str, int]:
        """Name of each pretrained parameter -> its layer from 0 on; one layer, where a network knows no better."""
        fresh = {id(parameter) for parameter in self.new_parameters()}
        return {name: 0 for name, parameter in self.named_parameters() if id(parameter) not in fresh}

    def checkpoint_activations(self) -> None:
        """Compute each block's activations again in the backward pass instead of keeping them.

        What counts how often it is passed through (BatchNorm in training mode) counts twice then.

        Raises:
            ConfigError: for a network that is not made of blocks.
        """
        raise ConfigError(
            f"{type(self).__name__} has no blocks for it; set it to false", argument="activation_checkpointing"
        )

    def compile_network(self) -> None:
        """Compile the forward pass of training in place (torch.compile); the names of the weights stay."""
        self.compile()
        self._is_compiled = True

    def load_plain(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the weights of an encoder without low-rank factors, such as `merged` gave; factors here stay.

        Raises:
            RuntimeError: torch's, if the names or shapes are not this encoder's.
        """
        factors = {name: value for name, value in self.state_dict().items() if is_factor(name)}
        own_name = {plain_name(name): name for name in self.state_dict() if name not in factors}
        self.load_state_dict({**factors, **{own_name.get(name, name): value for name, value in tensors.items()}})

    def merged(self) -> Self:
        """A copy whose low-rank factors are added to the weights beside them, and so without any; itself without."""
        if not has_factors(self):
            return self
        plain = copy.deepcopy(self)
        fold_factors(plain)
        return plain


def _parts(pixels: Tensor) -> tuple[Tensor, ...]:
    """(N, S, S, 3) of images -> parts of it that pass through the network one after the other."""
    if pixels.device.type != "cpu":
        return (pixels,)
    return torch.split(pixels, max(1, _PIXELS_AT_ONCE_ON_CPU // (pixels.shape[1] * pixels.shape[2])))
