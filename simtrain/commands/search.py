"""`simtrain search`: nearest items of a bundle to an image or a text."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, SimtrainError
from simtrain.own_code import code_allowed, is_code_allowed
from simtrain.serving.bundle import Bundle
from simtrain.serving.conditions import passing
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.milvus.connection import PREFIX
from simtrain.serving.onnx_query_encoder import onnx_query_encoder, suits_onnx
from simtrain.serving.onnx_runtime import can_run_onnx
from simtrain.serving.opened_bundle import OpenedBundle, SearchQuery, SearchResult, read_query
from simtrain.serving.query_encoder import QueryEncoder
from simtrain.serving.replacement import open_while_replaced
from simtrain.serving.searcher import FoundItem, Searcher

if TYPE_CHECKING:
    from torch import nn

    from simtrain.config import EncoderConfig


def open_bundle(
    given: str | Path | GivenBundle,
    *,
    exported: str | None = None,
    network: nn.Module | None = None,
    like: EncoderConfig | None = None,
    queries: Literal["images", "texts"] | None = None,
    threads: int | None = None,
) -> OpenedBundle:
    """Open a bundle, checking every file and that its encoder gives the bundle's embeddings on this machine.

    Its `encoder.onnx` and `text_encoder.onnx` answer, without torch, where they are there, onnxruntime is installed,
    and no code of the user's own needs torch.

    Args:
        given: Folder of the bundle, and where its pictures lie.
        exported: The lines of `export`, where it was just written; None: it was there before.
        network: A network in memory, for a bundle whose encoder was handed over as an object; None: none.
        like: The section of the run's configuration, whose permission and object hold for the bundle too; None: none.
        queries: What alone is asked for; None: both, if the encoder embeds texts.
        threads: Number of threads that compute with ONNX, 1 or more; None: one for each core.

    Raises:
        BundleError: naming the first file that is missing, altered or of another bundle.
    """
    place, allowed = GivenBundle.of(given), is_code_allowed()
    images, texts = queries != "texts", queries != "images"

    def searcher_of(bundle: Bundle) -> Searcher:
        if network is None and like is None and suits_onnx(bundle, texts=texts, code_allowed=allowed):
            encoder = onnx_query_encoder(bundle, images=images, texts=texts, threads=threads)
            return Searcher(bundle=bundle, encoder=encoder)
        return Searcher(bundle=bundle, encoder=torch_encoder(bundle, network=network, like=like))

    def opening() -> tuple[Bundle, Searcher]:
        bundle = place.open()
        return bundle, searcher_of(bundle)

    if exported is None:
        bundle, searcher = open_while_replaced(place.folder, opening)
        return OpenedBundle(bundle=bundle, load_searcher=lambda: searcher, exported=None)
    written = place.open()

    def load_searcher() -> Searcher:  # later: of a bundle that was just written, `export` has checked the encoder
        with code_allowed(allowed):
            return searcher_of(written)

    return OpenedBundle(bundle=written, load_searcher=load_searcher, exported=exported)


def search(
    given: Path | GivenBundle, *, image: Path | None, text: str | None, k: int, plot: Path | None
) -> SearchResult:
    """Open a bundle for one search; see `OpenedBundle.search`. The query is read and checked before the bundle."""
    query = read_query(image, text=text, plot=plot)
    return _opened_for(query, given).answer(query, k=k)


def search_passing(given: GivenBundle, *, query: SearchQuery, k: int, condition: str) -> SearchResult:
    """Search a bundle among the items that a condition holds for, such as `color == "red" and price < 20`.

    Args:
        given: The bundle.
        query: The query, read and checked.
        k: Neighbours, 1 or more; fewer where fewer pass.
        condition: See `serving.conditions.passing`.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    opened = _opened_for(query, given)
    searcher = Searcher(bundle=opened.bundle, encoder=opened.searcher.encoder, passing=passing(opened.items, condition))
    return replace(opened, load_searcher=lambda: searcher).answer(query, k=k)


@dataclass(frozen=True, kw_only=True)
class SearchedPlace:
    """Where items are searched, as it is named on a command line.

    Attributes:
        bundle: The bundle; None: the one that was published to the address.
        address: Of a Milvus that is searched instead of the bundle's own index, such as `milvus:shop.db`; None: the
            index is.
        collection: Name of a collection there; None: the only one.
        images: Folder that the items' paths start from; None: as noted when the bundle was made on this machine.
    """

    bundle: GivenBundle | None
    address: str | None
    collection: str | None
    images: Path | None


def searched_place(
    verb: str,
    named: str | None,
    *,
    source: str | None,
    collection: str | None,
    images: str | Path | None,
    signed_by: str | Path | None,
) -> SearchedPlace:
    """The place that a user names.

    Args:
        verb: `search` or `serve`, which opens errors.
        named: The folder of a bundle, or an address such as `milvus:shop.db`; None: `source` alone is given.
        source: Address to search instead of the bundle's own index; None: not given.
        collection: Name of a collection; None: not given.
        images: Folder of the pictures; None: not given.
        signed_by: File of a key; None: not given.

    Raises:
        SimtrainError: for what does not go together, or a key that cannot be read.
    """
    if named is None:
        if source is None:
            raise SimtrainError(f"{verb}: name a bundle's folder, or a Milvus: simtrain {verb} BUNDLE")
        named, source = source, None
        if not named.startswith(PREFIX):
            raise SimtrainError(f"{verb}: --from {named}: allowed: an address such as milvus:shop.db")
    published = named.startswith(PREFIX)
    address = named if published else source
    if published and source is not None:
        raise SimtrainError(f"{verb}: --from {source} stands beside a bundle's folder, not beside {named}")
    if address is not None and signed_by is not None:
        raise SimtrainError(f"{verb}: --signed-by is for a bundle's own index; what is in a Milvus is not signed")
    if address is None and collection is not None:
        raise SimtrainError(f"{verb}: --collection is for a Milvus: simtrain {verb} {named} --from milvus:…")
    bundle = None if published else GivenBundle.of(named, images=images, signed_by=signed_by)
    folder = None if images is None else Path(images).expanduser()
    return SearchedPlace(bundle=bundle, address=address, collection=collection, images=folder)


@dataclass(frozen=True, kw_only=True)
class MilvusPlace:
    """Where to search instead of a bundle's index.

    Attributes:
        address: Of a Milvus, such as `milvus:shop.db`.
        collection: Name that was published there; None: the only one.
        condition: Filter in Milvus's words, such as `color == "red"`; None: none.
    """

    address: str
    collection: str | None
    condition: str | None


def search_milvus(
    place: MilvusPlace, *, folder: Path | None, images: Path | None, query: SearchQuery, k: int
) -> SearchResult:
    """Search a collection that was published, with the encoder of its bundle.

    Args:
        place: The collection.
        folder: Folder of the bundle; None: where it was when it was published.
        images: Folder that the items' paths start from; None: as noted when the bundle was made on this machine.
        query: The query, read and checked.
        k: Neighbours, 1 or more; all items if there are fewer.

    Raises:
        SimtrainError: for anything that the user can mend, such as a collection of another encoder.
    """
    from simtrain.serving.milvus.connection import MilvusAddress  # pymilvus, of an extra
    from simtrain.serving.milvus.searching import folder_published, search_collection

    address = MilvusAddress.of(place.address)
    given = GivenBundle(folder=folder or folder_published(address, place.collection), images=images)
    opened = _opened_for(query, given)

    def elsewhere(embedding: NDArray[np.float32], count: int) -> list[FoundItem]:
        return search_collection(
            address,
            embedding,
            collection=place.collection,
            fingerprint=opened.bundle.fingerprint,
            k=count,
            condition=place.condition,
        )

    searcher = Searcher(bundle=opened.bundle, encoder=opened.searcher.encoder, elsewhere=elsewhere)
    return replace(opened, load_searcher=lambda: searcher).answer(query, k=k)


def _opened_for(query: SearchQuery, given: Path | GivenBundle) -> OpenedBundle:
    return open_bundle(given, queries="images" if query.text is None else "texts")


def torch_encoder(
    bundle: Bundle, *, network: nn.Module | None = None, like: EncoderConfig | None = None, device: str = "cpu"
) -> QueryEncoder:
    """The encoder of a bundle under torch.

    Args:
        bundle: An open bundle.
        network: A network in memory, as in `open_bundle`.
        like: A section of a run's configuration, as in `open_bundle`.
        device: Torch's name of the device to compute on, such as `cuda:0`.

    Raises:
        BundleError: if torch is not installed, or the encoder does not give the bundle's embeddings.
    """
    if importlib.util.find_spec("torch") is None:
        raise BundleError(_why_torch(bundle))
    import torch  # heavy, and not needed by a search with ONNX

    from simtrain.builders.bundle_encoder import build_bundle_encoder
    from simtrain.serving.torch_query_encoder import TorchQueryEncoder

    encoder = build_bundle_encoder(bundle, network=network, like=like).to(torch.device(device))
    return TorchQueryEncoder(encoder=encoder, device=torch.device(device))


def image_encoder(bundle: Bundle, *, threads: int | None = None, device: str = "cpu") -> QueryEncoder:
    """The encoder of an open bundle for images: by its ONNX where that suits and no GPU is asked for, else by torch.

    Args:
        bundle: An open bundle.
        threads: Number of threads that compute with ONNX, 1 or more; None: one for each core.
        device: Torch's name of the device to compute on, such as `cuda:0`.

    Raises:
        BundleError: if the encoder cannot be opened, or does not give the bundle's embeddings.
    """
    if device == "cpu" and suits_onnx(bundle, texts=False, code_allowed=is_code_allowed()):
        return onnx_query_encoder(bundle, threads=threads)
    return torch_encoder(bundle, device=device)


def _why_torch(bundle: Bundle) -> str:
    if bundle.onnx_path is not None and not can_run_onnx():
        return f"{bundle.onnx_path}: needs onnxruntime: pip install onnxruntime; or torch: pip install simtrain"
    if bundle.onnx_path is None:
        return (
            f"{bundle.folder}: has no encoder.onnx, and torch, which its encoder then needs, is not installed: "
            "pip install simtrain"
        )
    return f"{bundle.folder}: its encoder needs torch here: pip install simtrain"
