"""`simtrain search`: nearest items of a bundle to an image or a text."""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from simtrain.builders import encoder_without_weights
from simtrain.config import EncoderConfig, NamedCode, parse_encoder
from simtrain.errors import BundleError
from simtrain.own_code import code_allowed, is_code_allowed
from simtrain.serving.bundle import Bundle
from simtrain.serving.manifest import MANIFEST_FILE
from simtrain.serving.opened_bundle import OpenedBundle, SearchResult, read_query
from simtrain.serving.searcher import Searcher


def open_bundle(
    folder: str | Path,
    *,
    exported: str | None = None,
    network: nn.Module | None = None,
    like: EncoderConfig | None = None,
) -> OpenedBundle:
    """Open a bundle, checking every file and that its encoder gives the bundle's embeddings on this machine.

    Args:
        folder: Folder of the bundle.
        exported: The lines of `export`, where it was just written.
        network: A network in memory, for a bundle whose encoder was handed over as an object; None: none.
        like: The section of the run's configuration, whose permission and object hold for the bundle too; None: none.

    Raises:
        BundleError: naming the first file that is missing, altered or of another bundle.
    """
    bundle, allowed = Bundle.open(Path(folder).expanduser()), is_code_allowed()
    file = str(bundle.folder / MANIFEST_FILE)
    if network is not None:
        like = parse_encoder(bundle.encoder_config, where=file)
        if not isinstance(like, NamedCode):
            raise BundleError(f"{file}: its encoder is of kind {like.kind}, and opens without a network in memory")
        like = like.holding(network)

    def load_searcher() -> Searcher:
        with code_allowed(allowed):
            encoder = bundle.load_encoder(partial(encoder_without_weights, file=file, like=like))
        return Searcher(bundle=bundle, encoder=encoder, device=torch.device("cpu"))

    opened = OpenedBundle(bundle=bundle, load_searcher=load_searcher, exported=exported)
    if exported is None:  # of one that was just written, `export` has checked the encoder
        opened.searcher  # noqa: B018 - loaded now, so that its errors are raised now
    return opened


def search(folder: Path, *, image: Path | None, text: str | None, k: int, plot: Path | None) -> SearchResult:
    """Open a bundle for one search; see `OpenedBundle.search`. The query is read and checked before the bundle."""
    query = read_query(image, text=text, plot=plot)
    return open_bundle(folder).answer(query, k=k)
