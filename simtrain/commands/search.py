"""`simtrain search`: nearest items of a bundle to an image or a text."""

from pathlib import Path

import torch
from torch import nn

from simtrain.builders.bundle_encoder import build_bundle_encoder, open_with_encoder
from simtrain.config import EncoderConfig
from simtrain.own_code import code_allowed, is_code_allowed
from simtrain.serving.bundle import Bundle
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
    place, allowed = Path(folder).expanduser(), is_code_allowed()
    if exported is None:
        bundle, encoder = open_with_encoder(place, network=network, like=like)
        searcher = Searcher(bundle=bundle, encoder=encoder, device=torch.device("cpu"))
        return OpenedBundle(bundle=bundle, load_searcher=lambda: searcher, exported=None)
    bundle = Bundle.open(place)

    def load_searcher() -> Searcher:  # later: of a bundle that was just written, `export` has checked the encoder
        with code_allowed(allowed):
            loaded = build_bundle_encoder(bundle, network=network, like=like)
        return Searcher(bundle=bundle, encoder=loaded, device=torch.device("cpu"))

    return OpenedBundle(bundle=bundle, load_searcher=load_searcher, exported=exported)


def search(folder: Path, *, image: Path | None, text: str | None, k: int, plot: Path | None) -> SearchResult:
    """Open a bundle for one search; see `OpenedBundle.search`. The query is read and checked before the bundle."""
    query = read_query(image, text=text, plot=plot)
    return open_bundle(folder).answer(query, k=k)
