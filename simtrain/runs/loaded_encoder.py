"""Encoders by name, from a run, from a bundle, or of one's own, ready to embed images and texts."""

# Shapes: N images or texts, D dimensions of the embedding.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from simtrain.builders.bundle_encoder import open_with_encoder
from simtrain.builders.encoder import build_encoder, whitening_of
from simtrain.config import EncoderConfig, parse_encoder
from simtrain.config.encoder_names import named_encoder
from simtrain.console import SILENT, TERMINAL, Console
from simtrain.data.embedding import EmbeddingSettings, embed_images, inference_device
from simtrain.data.given_images import GivenImage, GivenImages
from simtrain.encoders.base import Encoder
from simtrain.encoders.module_encoder import ModuleEncoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.text import TextEncoder
from simtrain.errors import ConfigError, SimtrainError
from simtrain.own_code import code_allowed, path_of
from simtrain.runs.run import DEFAULT_CHECKPOINTS, Run, find_run, open_run
from simtrain.runs.whitening import run_encoder
from simtrain.serving.manifest import MANIFEST_FILE

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class LoadedEncoder:
    """An encoder in memory. `print` shows what it is.

    Attributes:
        name: Name, path or class that it was loaded from.
        network: The encoder itself, a `torch.nn.Module`.
        config: Configuration of the encoder; None for a module of one's own.
        run: The run whose best weights it has; None: it is not of a run.
    """

    name: str
    network: Encoder
    config: EncoderConfig | None
    run: Run | None

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.network.embedding_size

    @property
    def reads_texts(self) -> bool:
        """Whether `encode_texts` works: whether texts have embeddings in the space of the images."""
        return isinstance(self.network, TextEncoder)

    def encode(
        self,
        images: Sequence[GivenImage] | GivenImage,
        *,
        batch_size: int = _BATCH_SIZE,
        console: Console | None = None,
    ) -> NDArray[np.float32]:
        """Embed images.

        Args:
            images: N paths, (H, W, 3) uint8 RGB arrays or PIL images, in any mixture; one of them alone is N = 1.
            batch_size: Images at once, 1 or more.
            console: Shows how many batches are done; None: the terminal.

        Returns:
            (N, D) float32 of unit length.

        Raises:
            CatalogError: for a file that cannot be read.
            ValueError: for something that is no image.
        """
        reader = GivenImages.of(images)
        embeddings = embed_images(
            self.network,
            reader,
            range(len(reader.images)),
            settings=EmbeddingSettings(batch_size=batch_size, workers=0, device=inference_device("auto")),
            console=TERMINAL if console is None else console,
        )
        return embeddings.numpy()

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: N texts -> (N, D) float32 of unit length, comparable with those of images.

        Raises:
            ConfigError: if this encoder reads no texts.
        """
        if not self.reads_texts:
            raise ConfigError(
                f"{self.name}: does not embed texts; load clip, or a bundle or run of an encoder that does"
            )
        embeddings: NDArray[np.float32] = cast(TextEncoder, self.network.eval()).embed_texts(list(texts)).cpu().numpy()
        return embeddings

    def __str__(self) -> str:
        preprocessing = self.network.preprocessing
        texts = ", reads texts" if self.reads_texts else ""
        return (
            f"{self.name}: {self.embedding_size} dimensions, images of {preprocessing.image_size} px "
            f"({preprocessing.resize}){texts}"
        )

    def section(self) -> dict[str, Any]:
        """The `encoder` section of a configuration that describes it."""
        if self.config is not None:
            return self.config.model_dump(mode="json")
        own = self.network.network if isinstance(self.network, ModuleEncoder) else self.network
        return {"kind": "python", "target": path_of(own)}


EncoderSource = str | Path | Mapping[str, Any] | Run | nn.Module | LoadedEncoder


@dataclass(frozen=True, kw_only=True)
class SortedSources:
    """Encoders to compare, by what they come from.

    Attributes:
        names: Untouched encoders that everybody can load again by these names.
        runs: Runs.
        loaded: Encoders that are in memory alone.
    """

    names: list[str]
    runs: list[Run]
    loaded: list[LoadedEncoder]


def sorted_sources(sources: Sequence[EncoderSource]) -> SortedSources:
    """Sort encoders by what they come from, each kind in its order.

    Raises:
        CheckpointError: for a run that cannot be opened.
    """
    sorted_sources = SortedSources(names=[], runs=[], loaded=[])
    for source in sources:
        run = run_of(source)
        if run is not None:
            sorted_sources.runs.append(run)
        elif isinstance(source, LoadedEncoder) and _is_what_its_name_stands_for(source):
            sorted_sources.names.append(source.name)
        elif not isinstance(source, str | Path) or (Path(source) / MANIFEST_FILE).is_file():
            sorted_sources.loaded.append(load_encoder(source))
        else:
            sorted_sources.names.append(str(source))
    return sorted_sources


def run_of(source: EncoderSource) -> Run | None:
    """The run that an encoder is of; None: it is of none.

    Raises:
        CheckpointError: for a run that cannot be opened.
    """
    if isinstance(source, Run):
        return source
    if isinstance(source, LoadedEncoder):
        return source.run
    if isinstance(source, str | Path) and find_run(str(source), checkpoints=DEFAULT_CHECKPOINTS) is not None:
        return open_run(str(source), checkpoints=DEFAULT_CHECKPOINTS)
    return None


def _is_what_its_name_stands_for(loaded: LoadedEncoder) -> bool:
    try:
        return loaded.config is not None and named_encoder(loaded.name) == loaded.config
    except ConfigError:
        return False


def load_encoder(
    source: EncoderSource,
    *,
    image_size: int = 224,
    mean: tuple[float, float, float] = _IMAGENET_MEAN,
    std: tuple[float, float, float] = _IMAGENET_STD,
    name: str | None = None,
    allow_code: bool = False,
) -> LoadedEncoder:
    """Load an encoder.

    Args:
        source: A name of `simtrain compare` (`clip`, `resnet50`, `efficientnet_lite0`, `histogram_hsv`, …);
            `timm:MODEL[=WEIGHTS]`, `resnet:MODEL[=WEIGHTS]`, `clip:MODEL` or `python:MODULE:NAME`; a bundle's folder;
            a run's name below `checkpoints`, its folder, or the run itself; a configuration (.yaml), whose encoder it
            is; its `encoder` section as a mapping; or an `nn.Module` that maps (N, 3, S, S) normalised images to
            (N, D) vectors.
        image_size: S, width and height of the images in pixels; for an `nn.Module` only.
        mean: Subtracted from each channel scaled to 0..1; of an `nn.Module` alone. Default: ImageNet's.
        std: Divides each channel after that; of an `nn.Module` alone. Default: ImageNet's.
        name: Name in tables; None: the source's own name.
        allow_code: Whether code that a run, bundle, file or section names (`kind: python`) may be imported.

    Raises:
        ConfigError: for a name that stands for nothing, with the nearest that does.
        SimtrainError: for weights that are not available here, or a bundle or run that cannot be opened.
    """
    with code_allowed(allow_code):
        return _loaded(source, image_size=image_size, mean=mean, std=std, name=name)


def _loaded(
    source: EncoderSource,
    *,
    image_size: int,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    name: str | None,
) -> LoadedEncoder:
    if isinstance(source, LoadedEncoder):
        return source
    run = run_of(source)
    if run is not None:
        return _of_run(run, name=name)
    if isinstance(source, Encoder):
        return LoadedEncoder(name=name or type(source).__name__, network=source, config=None, run=None)
    if isinstance(source, nn.Module):
        preprocessing = Preprocessing(
            image_size=image_size,
            resize="pad",
            interpolation="bicubic",
            mean=mean,
            std=std,
            flip_averaging=False,
        )
        own = ModuleEncoder(network=source, preprocessing=preprocessing, embedding_size=None).eval()
        return LoadedEncoder(name=name or type(source).__name__, network=own, config=None, run=None)
    if isinstance(source, Mapping):
        config = parse_encoder(source, where="encoder")
        label = name or str(source.get("model") or source.get("target") or source["kind"])
        return _built(config, name=label)
    assert isinstance(source, str | Path)
    folder = Path(source).expanduser()
    if (folder / MANIFEST_FILE).is_file():
        return _of_bundle(folder, name=name)
    return _built(_named(str(source)), name=name or Path(source).name)


def _built(config: EncoderConfig, *, name: str) -> LoadedEncoder:
    if whitening_of(config) is not None:
        raise ConfigError(
            f"{name}: encoder.whitening is learned from a catalogue's training images; load the encoder without, and "
            "evaluate with overrides={'encoder.whitening.power': 0.5}"
        )
    torch.manual_seed(0)  # layers without pretrained weights are the same each time
    return LoadedEncoder(name=name, network=build_encoder(config, load=True).eval(), config=config, run=None)


def _named(source: str) -> EncoderConfig:
    try:
        return named_encoder(source)
    except ConfigError as error:
        raise ConfigError(f"{error}; or a bundle's folder, a run's name or folder") from None


def _of_run(run: Run, *, name: str | None) -> LoadedEncoder:
    network = run_encoder(run, alpha=None, console=SILENT)
    return LoadedEncoder(name=name or run.folder.name, network=network, config=run.config.encoder, run=run)


def _of_bundle(folder: Path, *, name: str | None) -> LoadedEncoder:
    bundle, network = open_with_encoder(folder)
    try:
        config = parse_encoder(bundle.encoder_config, where=str(folder / MANIFEST_FILE))
    except SimtrainError:  # of a version that has other settings; the encoder itself was checked
        config = None
    return LoadedEncoder(name=name or folder.name, network=network, config=config, run=None)
