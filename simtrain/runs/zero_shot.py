"""Zero-shot evaluation of the initial encoder before training."""

from typing import Any

import torch

from simtrain.builders.bootstrap import build_bootstrap
from simtrain.config import RunConfig
from simtrain.evaluation.balance import BALANCED, balanced_score
from simtrain.evaluation.protocol import evaluate_retrieval
from simtrain.evaluation.shared_scoring import score_on_all_ranks
from simtrain.evaluation.statistics import Interval
from simtrain.evaluation.text_figures import means_by_name
from simtrain.preflight.evaluation import has_few_queries
from simtrain.runs.evaluation import embed_rows, evaluate_texts, score_texts
from simtrain.runs.session import RunSession
from simtrain.runs.validation_precision import validation_precision
from simtrain.training.rank_zero import on_rank_zero


def zero_shot_metrics(session: RunSession) -> dict[str, float]:
    """Validation metrics of the initial encoder: name as in `evaluation.monitor` -> mean, 0 to 1; empty without a task.

    They are added to the session's record; a resumed run has them there.
    """
    record, task, config = session.record, session.validation, session.config
    if task is None:
        session.console.line(
            "no validation: the catalogue has neither products nor labels; the last epoch will count as the best; to "
            "judge by whether a changed picture finds itself: --set relevance=picture"
        )
        return {}
    if "zero_shot" not in record:
        embeddings = embed_rows(
            session.encoder, session.images.reader, task.rows.tolist(), config=config, console=session.console
        )
        images = evaluate_retrieval(task, embeddings, bootstrap=build_bootstrap(config), score=score_on_all_ranks)
        texts = on_rank_zero(lambda: _text_metrics(session, embeddings))
        record["embedding"] = session.encoder.arithmetic.to_dict()
        record["zero_shot"] = {"split": "val", **images.to_dict(), "text": texts}
        session.console.line(_zero_shot_line(record["zero_shot"], config))
        small = validation_precision(task, session.catalog, confidence=config.evaluation.confidence)
        if small is not None and not has_few_queries(record.get("conflicts", [])):  # those were told with what to do
            session.console.line(small)
    return _means(record["zero_shot"])


def _text_metrics(session: RunSession, embeddings: torch.Tensor) -> dict[str, Any] | None:
    texts, encoder = session.inputs.validation_texts, session.encoder
    evaluation = evaluate_texts(texts, score_texts(texts, embeddings, encoder), encoder, config=session.config)
    return None if evaluation is None else evaluation.to_dict()


def _means(zero_shot: dict[str, Any]) -> dict[str, float]:
    """Name as in `evaluation.monitor` -> mean of the recorded metric; older records have no text metrics."""
    images = {name: Interval.from_dict(values).mean for name, values in zero_shot["metrics"].items()}
    images[BALANCED] = balanced_score(images)
    texts = zero_shot.get("text")
    return images if texts is None else images | means_by_name(texts)


def _zero_shot_line(zero_shot: dict[str, Any], config: RunConfig) -> str:
    means, shown = _means(zero_shot), ("map_at_r", "recall_at_1", "text_to_image_recall_at_5")
    figures = "  ".join(f"{name} {means[name]:.3f}" for name in shown if name in means)
    what = "zero-shot" if config.init_from is None else f"before training ({config.init_from})"
    added = zero_shot.get("distractors", 0)
    images = f"{zero_shot['gallery']} images" + (f", {added} of them distractors from train" if added else "")
    return f"{what} on val ({zero_shot['queries']} queries, {images}): {figures}"
