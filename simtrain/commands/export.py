"""`simtrain export`: a bundle of a run's or an untouched encoder, with index and items of a catalogue, verified."""

import shlex
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from simtrain.builders.devices import run_device
from simtrain.builders.encoder import plain_config
from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.builders.validation import build_validation
from simtrain.catalog.store.reader import ImageReader, source_images
from simtrain.catalog.table import NEAR_DUPLICATES, Catalog
from simtrain.config import ExportConfig, RunConfig
from simtrain.console import SILENT, Console
from simtrain.encoders.arithmetic import FLOAT32, Arithmetic
from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError, CatalogError, error_path
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.exported_encoder import EncoderToExport, exported_encoder
from simtrain.runs.index_report import index_lines
from simtrain.runs.own_code_record import code_of_section
from simtrain.runs.private_values import places_left, shared_config, without_places
from simtrain.runs.reused_embeddings import CatalogEmbeddings, EarlierEmbeddings, Reuse, embed_catalog
from simtrain.runs.run import Run
from simtrain.runs.smaller_onnx import EmbeddedCatalog, precision_sample
from simtrain.runs.threshold_calibration import Calibration, calibrate
from simtrain.runs.untouched_encoder import UntouchedEncoder
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_place import check_target
from simtrain.serving.bundle_writer import BundleContent, IndexSettings, write_bundle
from simtrain.serving.encoder_writer import encoder_fingerprint
from simtrain.serving.export_format import ExportFormat
from simtrain.serving.export_formats import FORMATS
from simtrain.serving.given_bundle import Giving
from simtrain.serving.index_factory import AUTO, EXACT_FACTORY, checked_factory, chosen_factory
from simtrain.serving.manifest import MANIFEST_FILE, read_manifest
from simtrain.serving.onnx_export import onnx_available
from simtrain.serving.onnx_precision import precision_lines, smaller_onnx
from simtrain.serving.verification import verify_bundle

CHECKED_IMAGES = 64
_LEFT_OUT = ("split", "query", "gallery", "width", "height", "pixel_sha256", NEAR_DUPLICATES)


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """Summary of an exported bundle.

    Attributes:
        folder: The bundle's folder.
        items: Number of images in its index.
        checked: Number of images that were embedded again and found themselves first.
        left_out: Formats for such an encoder that it was not exported to.
        images: Source of the images, as a phrase.
        arithmetic: Arithmetic that they were embedded in.
        agreement: The lowest cosine, among those checked, between an item and a query with its own file; NaN where
            the source's files are missing.
        index: What the manifest says of the index: factory, recall, time and bytes.
        exports: What the manifest says of smaller copies of `encoder.onnx`, by their files.
        calibration: Calibrated similarity thresholds, or why there are none.
        places_left: Keys of arguments of the user's own code in it that are paths of this machine.
        reuse: Embeddings that were there already; None: there was nothing to look in.
    """

    folder: Path
    items: int
    checked: int
    left_out: tuple[ExportFormat, ...]
    images: str
    arithmetic: Arithmetic
    agreement: float
    index: dict[str, Any]
    exports: dict[str, Any]
    calibration: Calibration
    places_left: tuple[str, ...]
    reuse: Reuse | None

    def _verified(self) -> str:
        """What `verify_bundle` has seen: an approximate index may lose some images."""
        if self.index["factory"] == EXACT_FACTORY and self.arithmetic == FLOAT32:
            return f"{self.checked} images give the same embeddings, and each finds itself first"
        why = "an approximate index" if self.arithmetic == FLOAT32 else str(self.arithmetic)
        return f"most of {self.checked} images find themselves among the 10 nearest ({why})"

    def __str__(self) -> str:
        lines = [
            f"bundle: {self.folder} ({self.items} items)",
            self.images,
            *([] if self.reuse is None else [str(self.reuse)]),
            f"verified: reopened; {self._verified()}",
        ]
        if self.agreement < 0.99999:
            lines.append(
                f"a query with an item's original file has a similarity of {self.agreement:.4f} or more to it "
                "(the image store holds it smaller)"
            )
        lines += [*index_lines(self.index), *precision_lines(self.exports)]
        lines += [
            f"{each.file}: not written; it needs pip install 'simtrain[{each.extra}]' and export.{each.name} not false"
            for each in self.left_out
        ]
        lines += [f"{key}: is a path of this machine, which stays in the bundle" for key in self.places_left]
        next_command = f"next: simtrain search {shlex.quote(str(self.folder))} --image PATH"
        return "\n".join([*lines, *self.calibration.lines(), next_command])


_GIVEN = Giving()


def export(
    source: Run | UntouchedEncoder,
    *,
    out: Path,
    alpha: float | None,
    giving: Giving = _GIVEN,
    embeddings: Path | None = None,
    console: Console,
) -> ExportResult:
    """Write a bundle of an encoder and every `gallery` image of its catalogue, then open and check it.

    Args:
        source: A run with a `best.ckpt`, whose best encoder it is, or an untouched encoder.
        out: The bundle's folder; an older bundle there is replaced.
        alpha: Of a run, share of the fine-tuned weights when mixed with the initial ones, 0 to 1; None: the share that
            `interpolate` chose, or 1 where it was never run.
        giving: How it is given to others.
        embeddings: Folder of `simtrain embed` whose embeddings are taken where it has the same images; None: those of
            the bundle that is replaced are.
        console: Shows how many batches are embedded.

    Raises:
        SimtrainError: for anything that the user can fix; the folder is then unchanged.
    """
    check_target(out, signed=giving.sign is not None)
    formats, precisions = _wanted_formats(source.config), source.config.export.onnx_precisions
    if precisions and not onnx_available():
        raise BundleError("export.onnx_precisions: needs the extra: pip install 'simtrain[export]'")
    exported = exported_encoder(source, alpha=alpha, console=console)
    encoder, catalog, config = exported.encoder, exported.catalog, exported.config
    index = _index_settings(config.export, catalog, encoder)  # refuses before images are embedded
    earlier = EarlierEmbeddings(
        bundle=out,
        shards=embeddings,
        fingerprint=lambda: encoder_fingerprint(encoder, _encoder_config(config)),
        halves_allowed=index.factory != EXACT_FACTORY and index.stored_as == "float16",
    )
    done = embed_catalog(encoder, catalog, config=config, earlier=earlier, console=console)
    vectors, images = done.embeddings, done.images
    task = build_validation(config, catalog)
    calibration = calibrate(config, catalog, vectors, scored=task is not None)
    content = _content(exported, done, calibration=calibration, index=index)
    content = content if not giving.relocatable else _shared(content)
    agreement = _agreement(config, catalog, encoder, vectors)
    embedded = EmbeddedCatalog(catalog=catalog, images=images.reader, embeddings=vectors, task=task)
    sample = precision_sample(encoder, embedded) if precisions else None
    smaller = [] if sample is None else [smaller_onnx(each, sample) for each in precisions]
    check = partial(_check, config=config, catalog=catalog, images=images.reader)
    console.aside(f"writing and checking {out}: encoder{''.join(f', {each.file}' for each in formats)}, index")
    write_bundle(content, out, formats=[*formats, *smaller], check=check, sign=giving.sign)
    items, manifest = len(content.items), read_manifest(out)
    return ExportResult(
        folder=out,
        items=items,
        checked=min(CHECKED_IMAGES, items),
        left_out=tuple(each for each in _possible_formats(config) if each.extra and each not in formats),
        images=images.description,
        arithmetic=done.arithmetic,
        agreement=agreement,
        index=manifest["index"],
        exports=manifest["exports"],
        calibration=calibration,
        places_left=tuple(places_left(content.encoder_config, key="encoder")) if giving.relocatable else (),
        reuse=done.reuse,
    )


def _content(
    exported: EncoderToExport, done: CatalogEmbeddings, *, calibration: Calibration, index: IndexSettings
) -> BundleContent:
    catalog = exported.catalog
    in_gallery = catalog.rows["gallery"].to_numpy(dtype=bool)
    return BundleContent(
        encoder=exported.encoder,
        encoder_config=_encoder_config(exported.config),
        embeddings=done.embeddings.numpy() if in_gallery.all() else done.embeddings.numpy()[in_gallery],
        arithmetic=done.arithmetic,
        items=catalog.rows[in_gallery].drop(columns=list(_LEFT_OUT), errors="ignore").reset_index(drop=True),
        root=catalog.root.resolve(),
        relocatable=False,
        run=exported.origin,
        code=_code(exported.config),
        metrics=exported.metrics(done.embeddings),
        thresholds=calibration.to_dict(),
        no_thresholds=calibration.reason,
        index=index,
    )


def _shared(content: BundleContent) -> BundleContent:
    """The content of a bundle that can be given away."""
    run = {**content.run, "config": shared_config(content.run["config"])}
    return replace(
        content,
        relocatable=True,
        encoder_config=without_places(content.encoder_config),
        run=run,
        metrics=without_places(content.metrics),
        thresholds=without_places(content.thresholds),
    )


def _encoder_config(config: RunConfig) -> dict[str, Any]:
    return plain_config(config.encoder).model_dump(mode="json")


def _index_settings(config: ExportConfig, catalog: Catalog, encoder: Encoder) -> IndexSettings:
    """The index that the configuration asks for."""
    count, dimensions = int(catalog.rows["gallery"].sum()), encoder.embedding_size
    if count == 0:
        raise CatalogError(f"{catalog.folder}: no image has gallery = true; the index would be empty")
    with error_path("export"):
        if config.index == AUTO:
            factory = chosen_factory(count=count, dimensions=dimensions, memory_mib=config.index_memory_mib)
        elif config.index_memory_mib is not None:
            raise BundleError(
                f"found {config.index_memory_mib} beside index '{config.index}'; allowed: with index auto alone",
                argument="index_memory_mib",
            )
        else:
            factory = checked_factory(config.index, dimensions=dimensions)
    return IndexSettings(factory=factory, wanted_recall=config.index_recall, stored_as=config.index_vectors)


def _code(config: RunConfig) -> dict[str, Any] | None:
    """What the manifest says of the user's own code; where it lies on this machine is nobody else's business."""
    code = code_of_section(config.encoder)
    return None if code is None else {**code, "file": None if code["file"] is None else Path(code["file"]).name}


def _agreement(config: RunConfig, catalog: Catalog, encoder: Encoder, embeddings: Tensor) -> float:
    """Lowest cosine between embeddings from the store and embeddings of the source's own files."""
    source = source_images(catalog)
    lengths = embeddings.norm(dim=1)  # one of 0 is similar to nothing, itself included
    there = [row for row, path in enumerate(source.paths) if path.is_file() and lengths[row] > 0]
    rows = there[:: max(1, len(there) // CHECKED_IMAGES)][:CHECKED_IMAGES]
    if not rows:
        return float("nan")
    queries = embed_rows(encoder, source, rows, config=config, console=SILENT, precision="32")
    return float((queries * embeddings[rows]).sum(dim=1).min())


def _check(folder: Path, *, config: RunConfig, catalog: Catalog, images: ImageReader) -> None:
    row_of = {identifier: row for row, identifier in enumerate(catalog.rows["id"])}
    items = Bundle.open(folder).items["id"]
    verify_bundle(
        folder,
        images=lambda row: images.read(row_of[items.iat[row]], at_least=None),
        network_factory=partial(encoder_without_weights, file=str(folder / MANIFEST_FILE), like=config.encoder),
        rows=CHECKED_IMAGES,
        device=run_device(config),
    )


def _possible_formats(config: RunConfig) -> list[ExportFormat]:
    with_texts = config.reads_texts and config.export.onnx is not False
    return [each for each in FORMATS if with_texts or not each.of_texts]


def _wanted_formats(config: RunConfig) -> list[ExportFormat]:
    wanted = []
    for each in _possible_formats(config):
        chosen: bool | None = getattr(config.export, each.name)
        if chosen and not each.available():
            raise BundleError(f"export.{each.name}: needs the extra: pip install 'simtrain[{each.extra}]'")
        if each.available() if chosen is None else chosen:
            wanted.append(each)
    return wanted
