"""Preflight report of `simtrain fit`: source of the images, and warnings before training."""

import torch

from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.phrases import counted
from simtrain.preflight.conflicts import conflict_warnings
from simtrain.preflight.negatives import few_negatives
from simtrain.runs.session import RunSession
from simtrain.runs.text_embeddings import truncation_line
from simtrain.training.devices import gpu_count, shared_evenly
from simtrain.training.ranks import Ranks, launch_message

FEWEST_IMAGES = 32
"""Images of a step with which a GPU is worth having."""


def report_preflight(session: RunSession) -> None:
    """Show where the images are read from, and warnings about settings that do not suit the catalogue.

    Both are added to the session's record.
    """
    images, encoder, texts = session.images, session.encoder, session.inputs.texts
    record, console = session.record, session.console
    console.line(images.description)
    before = record.get("images", images.description)
    if before != images.description:
        console.line(f"warning: image source changed since the start ({before}); results will differ")
    record["images"] = images.description
    cut = truncation_line(encoder, texts)
    if cut is not None:
        console.line(cut)
    if "conflicts" not in record:
        conflicts = conflict_warnings(
            session.config,
            session.catalog,
            images=lambda row: images.reader.read(row, at_least=None),
            preprocessing=encoder.training_preprocessing,
            validation=session.validation,
            texts=texts,
        )
        for conflict in conflicts:
            console.line(f"warning: {conflict.message}")
        record["conflicts"] = [vars(conflict) for conflict in conflicts]


def report_launch(config: RunConfig, ranks: Ranks | None, *, console: Console) -> None:
    """Say what makes this process one of several, and where `trainer.devices` has no effect."""
    asked, frozen = config.trainer.devices, config.trainer.freeze_encoder
    if ranks is not None and ranks.size > 1 and ranks.rank == 0:
        console.line(launch_message(ranks, timeout=config.trainer.rank_timeout))
    if ranks is not None and ranks.rank > 0:
        return
    if asked == "auto":
        if ranks is None and not frozen:
            report_idle_cards(config, gpus=gpu_count(config.trainer.accelerator), console=console)
        return
    wanted = len(asked) if isinstance(asked, list) else asked
    if frozen and wanted != 1:
        why = "trainer.freeze_encoder trains in one process"
    elif ranks is not None and ranks.local_size != wanted:
        why = f"launched as {counted(ranks.local_size, 'process', 'processes')}"
    else:
        return
    console.line(f"warning: trainer.devices: {asked} has no effect: {why}")


def report_idle_cards(config: RunConfig, *, gpus: int, console: Console) -> None:
    """Say where `devices: auto` leaves GPUs idle, or each with few images.

    Args:
        config: Configuration of the run.
        gpus: Number of GPUs on this machine.
        console: Shows each line.
    """
    size = config.data.batch_size
    count = shared_evenly(size, most=max(1, gpus))
    if count < gpus:
        console.line(
            f"trainer.devices: {count} of {gpus} GPUs, because data.batch_size {size} does not divide among more; all "
            f"with data.batch_size={-(-size // gpus) * gpus}"
        )
    if count > 1 and size // count < FEWEST_IMAGES:
        fewer = shared_evenly(size, most=max(1, size // FEWEST_IMAGES))
        console.line(
            f"warning: {size // count} images a GPU and step keep {count} GPUs waiting for each other: "
            f"data.batch_size={FEWEST_IMAGES * count} or more, or trainer.devices={fewer}"
        )


def report_few_negatives(session: RunSession, reference: torch.Tensor | None) -> None:
    """Show, and add to the record, that `false_negatives.max_similarity` leaves nearly no negatives."""
    settings = getattr(session.config.objective, "false_negatives", None)
    if reference is None or settings is None or settings.max_similarity is None:
        return
    warning = few_negatives(
        reference,
        session.catalog.rows_of(["train"]).tolist(),
        max_similarity=settings.max_similarity,
        batch_size=session.config.data.batch_size,
    )
    if warning is not None:
        session.console.line(f"warning: {warning.message}")
        session.record["conflicts"] = [*session.record.get("conflicts", []), vars(warning)]
