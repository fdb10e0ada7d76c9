"""`simtrain.export` and `simtrain.open_bundle`: an encoder, an index and items as one bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from simtrain.api.evaluate import refuse_alpha
from simtrain.api.handed_over import HandedOver
from simtrain.api.inputs import CatalogSource, catalog_override, checked_config, opened_run, or_terminal
from simtrain.config import UNUSED_OBJECTIVE
from simtrain.config.overrides import Overrides, override_lines
from simtrain.console import Console
from simtrain.own_code import code_allowed

if TYPE_CHECKING:
    from torch import nn

    from simtrain.runs.loaded_encoder import EncoderSource
    from simtrain.runs.run import Run
    from simtrain.runs.untouched_encoder import UntouchedEncoder
    from simtrain.serving.opened_bundle import OpenedBundle


def export(
    encoder: EncoderSource,
    out: str | Path,
    *,
    catalog: CatalogSource | None = None,
    alpha: float | None = None,
    relocatable: bool = True,
    sign: str | Path | None = None,
    embeddings: str | Path | None = None,
    overrides: Overrides = (),
    allow_code: bool = False,
    console: Console | None = None,
) -> OpenedBundle:
    """Write encoder, preprocessing, index and items as one bundle, and check it.

    Args:
        encoder: A run, by name, folder or as an object; or an untouched encoder, as `simtrain.load_encoder` takes it,
            by name with `_whitened` or `_half_whitened` behind it if it is to be whitened, or `start_of_RUN`.
        out: The bundle's folder; an older bundle there is replaced.
        catalog: Catalogue whose images are searched, and that a whitening is learned from; None: the one that the run
            or the .yaml file names.
        alpha: Of a run, share of the fine-tuned weights in a mix with the initial ones, 0 to 1; None: what
            `interpolate` chose, or 1.
        relocatable: Whether the bundle can be given away: it holds no path of this machine, and where the pictures lie
            is noted beside it. Otherwise its manifest names their folder.
        sign: File of an Ed25519 key that the manifest is signed with; None: it is not. Where a signed bundle is, only a
            signed one may follow.
        embeddings: Folder of `embed` whose embeddings are taken for the same images; None: those of the bundle that is
            replaced are.
        overrides: Settings that replace the configuration's, such as `{"export.onnx": False}`.
        allow_code: Whether code that the run names (`kind: python`) may be imported.
        console: Shows progress; None: the terminal.

    Returns:
        The bundle, ready to search; `print` shows what was exported.

    Raises:
        SimtrainError: for anything that the user can mend; the folder is then as it was.
    """
    from simtrain.serving.signature import SigningKey

    key = None if sign is None else SigningKey.read(Path(sign).expanduser())
    lines = [*catalog_override(catalog), *override_lines(overrides)]
    with code_allowed(allow_code):
        source = _source(encoder, lines)
        from simtrain.commands.export import export
        from simtrain.runs.run import Run
        from simtrain.serving.given_bundle import Giving

        if not isinstance(source, Run):
            refuse_alpha(alpha, source.name)
        result = export(
            source,
            out=Path(out).expanduser(),
            alpha=alpha,
            giving=Giving(relocatable=relocatable, sign=key),
            embeddings=None if embeddings is None else Path(embeddings).expanduser(),
            console=or_terminal(console),
        )
        from simtrain.commands.search import open_bundle

        return open_bundle(result.folder, exported=str(result), like=source.config.encoder)


def _source(encoder: EncoderSource, overrides: list[str]) -> Run | UntouchedEncoder:
    from simtrain.runs.run import DEFAULT_CHECKPOINTS, Run, find_run
    from simtrain.runs.source_name import check_source_name
    from simtrain.serving.manifest import MANIFEST_FILE

    if isinstance(encoder, Run):
        return opened_run(encoder, overrides)
    named = isinstance(encoder, str | Path) and not (Path(encoder).expanduser() / MANIFEST_FILE).is_file()
    if named:  # mistakes are told before torch is imported
        check_source_name(str(encoder))
        if find_run(str(encoder), checkpoints=DEFAULT_CHECKPOINTS) is not None:
            return opened_run(str(encoder), overrides)
    from simtrain.runs.loaded_encoder import LoadedEncoder, load_encoder
    from simtrain.runs.untouched_encoder import UntouchedEncoder, loaded_source, named_source

    if named:
        return named_source(str(encoder), overrides=overrides)
    loaded = encoder if isinstance(encoder, LoadedEncoder) else load_encoder(encoder)
    if loaded.run is not None:
        return opened_run(loaded.run, overrides)
    if loaded.config is not None:
        return loaded_source(loaded, overrides=overrides)
    given = HandedOver(encoder=loaded)
    config = checked_config({"objective": UNUSED_OBJECTIVE}, catalog=None, overrides=overrides, given=given)
    return UntouchedEncoder(name=loaded.name, config=config)


def open_bundle(
    folder: str | Path,
    *,
    images: str | Path | None = None,
    signed_by: str | Path | None = None,
    encoder: nn.Module | None = None,
    allow_code: bool = False,
) -> OpenedBundle:
    """Open a bundle, checking every file and that its encoder gives the bundle's embeddings on this machine.

    Args:
        folder: Folder of the bundle.
        images: Folder that the items' paths start from; None: as noted when the bundle was made on this machine.
        signed_by: File of the Ed25519 key that the bundle must be signed with; None: any or none.
        encoder: The network again, where the run's was handed over as an object; its weights are the bundle's. None:
            the bundle is opened by itself.
        allow_code: Whether code that the bundle names (`kind: python`) may be imported.

    Raises:
        BundleError: naming the first file that is missing, altered or of another bundle.
    """
    from simtrain.commands.search import open_bundle
    from simtrain.serving.given_bundle import GivenBundle

    with code_allowed(allow_code):
        return open_bundle(GivenBundle.of(folder, images=images, signed_by=signed_by), network=encoder)
