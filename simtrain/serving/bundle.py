"""The bundle: one folder with encoder, preprocessing, index and items that cannot be mismatched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import BundleError, first_line
from simtrain.failures import damage_told
from simtrain.parquet import read_table_bytes
from simtrain.serving.golden import Golden, check_golden, check_golden_images, read_golden, space_fingerprint
from simtrain.serving.index import ItemIndex
from simtrain.serving.manifest import MANIFEST_FILE, check_files, read_manifest
from simtrain.serving.onnx_runtime import ONNX_FILE, TEXT_ONNX_FILE, TOKENIZER_FILE
from simtrain.serving.picture_folders import PictureFolders, known_folders
from simtrain.serving.query_encoder import QueryEncoder
from simtrain.serving.replacement import open_while_replaced, read_checked
from simtrain.serving.search_settings import SearchSettings
from simtrain.serving.signature import VerifyingKey
from simtrain.serving.stored_vectors import map_vectors
from simtrain.serving.stray_files import files_within

if TYPE_CHECKING:  # a search by ONNX needs no torch
    from simtrain.encoders.base import Encoder
    from simtrain.serving.recreated_encoder import NetworkFactory

ENCODER_FOLDER = "encoder"
TEXT_FOLDER = "encoder/text_tower"
WEIGHTS_FILE = "encoder/model.safetensors"
WHITENING_FILE = "encoder/whitening.safetensors"
ENCODER_FILE = "encoder/encoder.json"
GOLDEN_FILE = "encoder/golden.safetensors"
INDEX_FILE = "index.faiss"
VECTORS_FILE = "vectors.safetensors"
ITEMS_FILE = "items.parquet"
CONTENT_COLUMN = "sha256"
"""Column of the items with the SHA-256 of each image file; bundles of before lack it."""

ITEMS_METADATA_KEY = b"simtrain"
"""Under it the schema of `items.parquet` holds JSON with the fingerprint of the embedding space."""

_TEXT_KEYS = {"clip": "text_model", "two_towers": "text"}
"""Kind of an encoder -> what its configuration calls a text tower that is a model of its own."""

_AGAIN = "; export the bundle again"


@dataclass(frozen=True, kw_only=True)
class PromisedPrecision:
    """A share of right results, and how similar an image query's results must be for it."""

    precision: float
    """Share of right results that was asked for at export, such as 0.95; 0 to 1."""

    similarity: float
    """Cosine similarity, -1 to 1: among results of held-out queries at least this similar, that share was right."""

    pairs: int
    """Number of results of those queries that were at least this similar."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle whose every file was checked. Get one with `open`."""

    folder: Path
    manifest: dict[str, Any]
    items: pd.DataFrame
    """N rows in the order of ids, which is the order of the index."""

    index: ItemIndex

    pictures: PictureFolders
    """Where the pictures of the items lie; without any folder where that is not known."""

    @staticmethod
    def open(folder: Path, *, images: Path | None = None, signed_by: VerifyingKey | None = None) -> Bundle:
        """Check format, hashes and fingerprints, and read the index and the items.

        Where the folder is replaced by another bundle meanwhile, all that is opened is of one of the two.

        Args:
            folder: The bundle's folder.
            images: Folder that the items' paths start from; None: as noted when the bundle was made here.
            signed_by: Key whose signature it must have; None: any or none.

        Raises:
            BundleError: naming the first file that is missing, altered or of another bundle.
        """
        return open_while_replaced(folder, lambda: Bundle._open(folder, images, signed_by))

    @staticmethod
    def _open(folder: Path, images: Path | None, signed_by: VerifyingKey | None) -> Bundle:
        manifest = read_manifest(folder, signed_by=signed_by)
        pictures = known_folders(folder, manifest, images=images)
        with damage_told(folder / MANIFEST_FILE, error=BundleError, advice=_AGAIN):
            return Bundle._checked(folder, manifest, pictures)

    @staticmethod
    def _checked(folder: Path, manifest: dict[str, Any], pictures: PictureFolders) -> Bundle:
        required = (WEIGHTS_FILE, ENCODER_FILE, GOLDEN_FILE, INDEX_FILE, ITEMS_FILE)
        exported = [*(path.name for path in sorted(folder.glob("encoder.*"))), TEXT_ONNX_FILE, TOKENIZER_FILE]
        optional = (
            *exported,
            *files_within(folder, ENCODER_FOLDER),
        )  # a library opens that folder, and takes what lies in it
        hashes = manifest["files"]
        hashed_here = {name: sha for name, sha in hashes.items() if name != VECTORS_FILE}  # mapped, then hashed
        check_files(folder, hashed_here, required=required, optional=optional)
        index = _read_index(folder, manifest)
        items_content = read_checked(folder / ITEMS_FILE, sha256=hashes[ITEMS_FILE])
        items, items_fingerprint = _read_items(folder / ITEMS_FILE, items_content)
        bundle = Bundle(folder=folder, manifest=manifest, items=items, index=index, pictures=pictures)
        expected = space_fingerprint(
            bundle.preprocessing,
            weights_sha256=manifest["files"][WEIGHTS_FILE],
            golden_sha256=manifest["files"][GOLDEN_FILE],
            whitening_sha256=manifest["files"].get(WHITENING_FILE),
        )
        for name, found in (
            (MANIFEST_FILE, manifest["fingerprint"]),
            (INDEX_FILE, manifest["index"]["fingerprint"]),
            (ITEMS_FILE, items_fingerprint),
        ):
            if found != expected:
                raise BundleError(
                    f"{folder / name}: made with another encoder: its fingerprint is {str(found)[:12]}…, the encoder's "
                    f"is {expected[:12]}…; export the bundle again"
                )
        bundle._check_descriptions()
        size = manifest["encoder"].get("embedding_size", index.dimensions)
        if size != index.dimensions:
            raise BundleError(
                f"{folder / INDEX_FILE}: holds vectors of {index.dimensions} dimensions; the encoder gives {size}; "
                "export the bundle again"
            )
        if not len(items) == index.count == manifest["index"]["count"]:
            raise BundleError(f"{folder}: the index holds {index.count} items, {ITEMS_FILE} {len(items)}")
        return bundle

    def _check_descriptions(self) -> None:
        """Read once what a search will need, so that what is wrong with it is told when the bundle is opened."""
        _ = self.promises, self.encoder_config["kind"], self.config_to_open
        _ = list((self.manifest.get("thresholds") or {}).get("relevance", []))
        if not isinstance(self.manifest.get("image_root", ""), str):
            raise TypeError("image_root is no text")

    @property
    def fingerprint(self) -> str:
        """Name of the embedding space, 64 hexadecimal digits."""
        return str(self.manifest["fingerprint"])

    @property
    def encoder_config(self) -> dict[str, Any]:
        """The encoder's section of the run's configuration."""
        return dict(self.manifest["encoder"]["config"])

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of images before the encoder."""
        return Preprocessing.from_dict(self.manifest["preprocessing"])

    @property
    def promises(self) -> list[PromisedPrecision]:
        """Thresholds with their precision, the strictest first; empty where none were measured, and in old bundles."""
        levels = (self.manifest.get("thresholds") or {}).get("levels", [])
        found = [
            PromisedPrecision(
                precision=float(level["wanted_precision"]),
                similarity=float(level["similarity"]),
                pairs=int(level["positives"]) + int(level["negatives"]),
            )
            for level in levels
            if level["similarity"] is not None
        ]
        return sorted(found, key=lambda promised: promised.precision, reverse=True)

    @property
    def onnx_path(self) -> Path | None:
        """`encoder.onnx`, if the bundle has one."""
        return self.folder / ONNX_FILE if ONNX_FILE in self.manifest["files"] else None

    @property
    def has_own_folder(self) -> bool:
        """Whether `encoder/` is a folder that the encoder's own library opens, weights and all."""
        return bool(self.manifest["encoder"].get("own_folder", False))

    @property
    def config_to_open(self) -> dict[str, Any]:
        """The encoder's section, naming what the bundle holds in the place of what the run named."""
        config = self.encoder_config
        if self.has_own_folder:
            config["model"] = str(self.folder / ENCODER_FOLDER)
        if self.manifest["encoder"].get("text_folder", False):
            config[_TEXT_KEYS[config["kind"]]] = str(self.folder / TEXT_FOLDER)
        return config

    def image_path(self, row: int) -> Path:
        """Where the image of an item lies; it need not be there.

        Raises:
            BundleError: if no folder of pictures is known.
        """
        path = self.pictures.path_of(str(self.items["path"].iat[row]))
        if path is None:
            raise BundleError(f"{self.folder}: where its pictures lie is not known here; name it: --images FOLDER")
        return path

    def load_encoder(self, network_factory: NetworkFactory) -> Encoder:
        """Re-create the encoder on the CPU, fill it, and see that it gives the golden embeddings.

        Args:
            network_factory: Makes the network from `encoder_config` and `preprocessing`, without downloading weights.

        Raises:
            BundleError: if the network is another one, or this environment gives other embeddings.
        """
        from simtrain.serving.recreated_encoder import recreated_encoder

        return recreated_encoder(self, network_factory)

    @cached_property
    def golden(self) -> Golden:
        """Golden images and texts with their embeddings.

        Raises:
            BundleError: if the file holds something else, or another bundle has taken the place.
        """
        return read_golden(self.folder / GOLDEN_FILE, content=self.content(GOLDEN_FILE))

    @property
    def reads_texts(self) -> bool:
        """Whether the encoder embeds texts too."""
        return self.golden.text_embeddings is not None

    def check_golden(self, encoder: QueryEncoder) -> None:
        """See that an encoder gives the bundle's embeddings, of texts too where it embeds them.

        Raises:
            BundleError: if it does not.
        """
        check_golden(self.golden, encoder)

    def check_golden_images(self, encoder: QueryEncoder) -> None:
        """`check_golden` for an encoder of the image side alone."""
        check_golden_images(self.golden, encoder)

    def content(self, name: str) -> bytes:
        """Content of one of the bundle's files, which is what the manifest says.

        Args:
            name: As the manifest lists it.

        Raises:
            BundleError: if another bundle has taken the place since this one was opened.
        """
        return read_checked(self.folder / name, sha256=self.manifest["files"][name])

    def check_opened_by_path(self) -> None:
        """See that what libraries have opened by its path was of this bundle."""
        folders = [ENCODER_FOLDER] if self.has_own_folder else [TEXT_FOLDER, WHITENING_FILE]
        hashes = {name: sha for name, sha in self.manifest["files"].items() if name.startswith(tuple(folders))}
        check_files(self.folder, hashes, required=(), optional=())


def _read_index(folder: Path, manifest: dict[str, Any]) -> ItemIndex:
    """The index, with the vectors beside it where it is approximate; bundles of before have none."""
    hashes, described = manifest["files"], manifest["index"]
    if VECTORS_FILE not in hashes and ("search" in described or (folder / VECTORS_FILE).exists()):
        raise BundleError(f"{folder / VECTORS_FILE}: not of this bundle: {MANIFEST_FILE} does not list it")
    stored = map_vectors(folder / VECTORS_FILE, sha256=hashes[VECTORS_FILE]) if VECTORS_FILE in hashes else None
    return ItemIndex.read(
        folder / INDEX_FILE,
        factory=str(described["factory"]),
        sha256=hashes[INDEX_FILE],
        stored=stored,
        settings=SearchSettings.from_dict(described["search"]) if stored is not None else None,
    )


def _read_items(path: Path, content: bytes) -> tuple[pd.DataFrame, str | None]:
    try:
        table = read_table_bytes(content)
    except (pa.ArrowException, OSError) as error:
        raise BundleError(f"{path}: not a Parquet file: {first_line(error)}") from None
    with damage_told(path, error=BundleError, advice=_AGAIN):
        note = (table.schema.metadata or {}).get(ITEMS_METADATA_KEY, b"{}")
        items: pd.DataFrame = table.to_pandas()
        for name in ("id", "path"):
            if not all(isinstance(value, str) for value in items[name]):
                raise TypeError(f"column {name} holds more than text")
        return items, json.loads(note).get("fingerprint")
