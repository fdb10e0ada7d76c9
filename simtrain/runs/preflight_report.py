"""Preflight report of `simtrain fit`: source of the images, and warnings before training."""

from simtrain.preflight import conflict_warnings
from simtrain.runs.session import RunSession
from simtrain.runs.text_embeddings import truncation_line


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
        found = conflict_warnings(
            session.config,
            session.catalog,
            images=lambda row: images.reader.read(row, at_least=None),
            preprocessing=encoder.training_preprocessing,
            validation=session.validation,
            texts=texts,
        )
        for conflict in found:
            console.line(f"warning: {conflict.message}")
        record["conflicts"] = [vars(conflict) for conflict in found]
