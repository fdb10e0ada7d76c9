"""Encoder of an export with its configuration, its catalogue and where it comes from: of a run, or untouched."""

# Shapes: N images of the catalogue, D dimensions of the embedding.

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from simtrain.builders.encoder import build_encoder, whitening_of
from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.builders.texts import build_text_validation
from simtrain.builders.validation import build_validation
from simtrain.builders.weights_file import inspect_weights_file, with_normalisation
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.encoders.base import Encoder
from simtrain.errors import error_path
from simtrain.evaluation.chosen_rows import chosen_rows
from simtrain.runs.evaluation import evaluate_embeddings, evaluate_texts, score_texts
from simtrain.runs.interpolation_record import chosen_alpha
from simtrain.runs.run import Run, configured_catalog, data_fingerprint, read_run_catalog, report_unfinished
from simtrain.runs.untouched_encoder import UntouchedEncoder
from simtrain.runs.whitening import run_encoder, whiten_untouched


@dataclass(frozen=True, kw_only=True)
class EncoderToExport:
    """An encoder that goes into a bundle.

    Attributes:
        encoder: The encoder, whitened if its configuration says so.
        config: Its configuration: of the run, or that of an untouched encoder.
        catalog: Catalogue of N images that the bundle holds.
        origin: Where it comes from, for the manifest.
        run: The run that has trained it; None: it is untouched.
    """

    encoder: Encoder
    config: RunConfig
    catalog: Catalog
    origin: dict[str, Any]
    run: Run | None

    def metrics(self, embeddings: Tensor) -> dict[str, object]:
        """Validation metrics, for images and texts: `tuned` beside `zero_shot` of the run's initial encoder.

        An untouched encoder has `zero_shot` alone. Empty without anything to validate by.

        Args:
            embeddings: (N, D) embeddings in the catalogue's order.
        """
        task = build_validation(self.config, self.catalog)
        if task is None:
            return {}
        own = chosen_rows(embeddings, task.rows)
        texts = build_text_validation(self.config, self.catalog, task)
        text = evaluate_texts(texts, score_texts(texts, own, self.encoder), self.encoder, config=self.config)
        figures = {
            **evaluate_embeddings(own, task, config=self.config).to_dict(),
            "text": None if text is None else text.to_dict(),
        }
        if self.run is None:
            return {"split": "val", "tuned": None, "zero_shot": figures}
        return {"split": "val", "tuned": figures, "zero_shot": self.run.record.get("zero_shot")}


def exported_encoder(source: Run | UntouchedEncoder, *, alpha: float | None, console: Console) -> EncoderToExport:
    """Read the catalogue and build the encoder.

    Args:
        source: The run with its `best.ckpt`, or the untouched encoder.
        alpha: Of a run, the share of the fine-tuned weights when mixed with the initial ones, 0 to 1; None: the share
            that `interpolate` chose, or 1 where it was never run.
        console: Shows lines, and how many batches are embedded.

    Raises:
        SimtrainError: for anything that the user can fix.
    """
    if isinstance(source, UntouchedEncoder):
        return _untouched(source, console=console)
    catalog = read_run_catalog(source)
    report_unfinished(source, console)
    share = chosen_alpha(source.folder) if alpha is None else alpha
    return EncoderToExport(
        encoder=run_encoder(source, alpha=share, console=console),
        config=source.config,
        catalog=catalog,
        origin={
            "name": source.folder.name,
            "alpha": share,
            "config": source.config.model_dump(mode="json"),
            "data": data_fingerprint(catalog),
        },
        run=source,
    )


def _untouched(source: UntouchedEncoder, *, console: Console) -> EncoderToExport:
    catalog, config = configured_catalog(source.config), source.config
    torch.manual_seed(config.seed)  # layers without pretrained weights are those that evaluate and compare see
    if source.network is not None:
        encoder = copy.copy(source.network)
    elif source.start_of is not None:
        encoder = load_initial_encoder(config.encoder, source.start_of.folder)
    else:
        with error_path("encoder"):
            config = _with_normalisation(config)
            encoder = build_encoder(config.encoder, load=True)
    if encoder.whitening is None and whitening_of(config.encoder) is not None:
        whiten_untouched(encoder, catalog, config=config, console=console)
    return EncoderToExport(
        encoder=encoder.merged().eval(),
        config=config,
        catalog=catalog,
        origin={
            "name": source.name,
            "untouched": True,
            **({} if source.start_of is None else {"start_of": source.start_of.folder.name}),
            "config": config.model_dump(mode="json"),
            "data": data_fingerprint(catalog),
        },
        run=None,
    )


def _with_normalisation(config: RunConfig) -> RunConfig:
    """With the normalisation that the weights file says filled in, if there is a file: a bundle holds no other."""
    weights = inspect_weights_file(config.encoder)
    if weights is None:
        return config
    section = with_normalisation(config.encoder, normalisation=weights.normalisation)
    return config.model_copy(update={"encoder": section})
