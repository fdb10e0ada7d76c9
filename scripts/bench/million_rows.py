"""Measures what a command does before its own work on a large catalogue: processor time and memory, step by step.

    OMP_NUM_THREADS=1 python scripts/bench/million_rows.py [--rows 1000000] [--folder FOLDER]

The catalogue has no pictures: products of one to seven images, 200 labels, captions, splits of whole products, and the
record of an image store, all through the writers that `prepare` uses. Memory is the peak of the process beyond what
importing takes (resource.getrusage), so a step that fits below an earlier peak adds 0.
"""

import argparse
import hashlib
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from simtrain.builders.data import build_batches
from simtrain.builders.validation import build_validation
from simtrain.catalog.sources.source import text_column
from simtrain.catalog.store.layout import FACTS, RECORD_FILE, Record, StoreSettings, write_record
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import CATALOG_FILE, COLUMNS, NEAR_DUPLICATES, Catalog, read_catalog, write_catalog
from simtrain.catalog.training_facts import training_facts
from simtrain.config import parse_run_config
from simtrain.data.samplers import EpochBatches
from simtrain.evaluation.relevance import usual_relevances
from simtrain.runs.run import data_fingerprint
from simtrain.training.garbage import settled_objects

LABELS, SIDE, BATCH = 200, 288, 4096
MEGABYTE = 1e6 if sys.platform == "darwin" else 1e3  # in getrusage's unit: bytes there, kilobytes elsewhere
Value = TypeVar("Value")


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=BATCH, help="pairs of a batch")
    parser.add_argument("--folder", type=Path, help="where the catalogue is kept for the next call; made if missing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = given.folder or Path(scratch)
        if not (folder / CATALOG_FILE).is_file():
            writer = multiprocessing.get_context("spawn").Process(target=write, args=(folder, given.rows))
            writer.start()  # elsewhere, so that its memory is not counted
            writer.join()
        print(f"{given.rows} rows; imports {peak():.0f} MB", flush=True)
        measure(folder, given.batch)


def measure(folder: Path, batch: int) -> None:
    """Each step once, in the order in which `fit` takes them."""
    steps = Steps()
    catalog = steps.take("read_catalog", lambda: read_catalog(folder))
    steps.take("its fingerprint", lambda: data_fingerprint(catalog))
    steps.take("training facts (init)", lambda: training_facts(catalog))
    steps.take(
        "relevance codes (compare)",
        lambda: [(one.codes(catalog), one.exclusion_codes(catalog)) for one in usual_relevances(catalog)],
    )
    config = parse_run_config(
        {
            "catalog": str(folder),
            "encoder": {"kind": "pixels"},
            "objective": {"kind": "simclr", "positive": "product"},
            "data": {"batch_size": batch},
        },
        where="the benchmark",
    )
    steps.take("validation task", lambda: build_validation(config, catalog))
    steps.take("open_images", lambda: open_images(catalog, smallest=224))
    batches, _, _ = steps.take("samplers, paired", lambda: build_batches(config, catalog, None))
    steps.total()
    steps.take("an epoch of indices, paired", lambda: consumed(batches))
    steps.take("another epoch", lambda: consumed(batches))
    for kind, wanted in (("shuffled", {"kind": "simclr"}), ("of 2 images", {"kind": "triplet", "images_per_group": 2})):
        other = config.model_validate({**config.model_dump(mode="json"), "objective": wanted})
        plan, _, _ = build_batches(other, catalog, None)
        steps.take(f"an epoch of indices, {kind}", partial(consumed, plan))


def consumed(batches: EpochBatches) -> int:
    """Go through an epoch, as a training does; the number of its samples."""
    with settled_objects():
        return sum(map(len, batches))


class Steps:
    """Prints what each step took."""

    def __init__(self) -> None:
        self.imports = peak()
        self.seconds = 0.0

    def take(self, name: str, step: Callable[[], Value]) -> Value:
        """Run one step."""
        began, before = time.process_time(), peak()
        value = step()
        took = time.process_time() - began
        self.seconds += took
        print(f"{name:36}{took:8.2f} s{peak() - before:8.0f} MB", flush=True)
        return value

    def total(self) -> None:
        """Print the sum so far."""
        print(f"{'start-up':36}{self.seconds:8.2f} s{peak() - self.imports:8.0f} MB", flush=True)


def peak() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


def write(folder: Path, rows: int) -> None:
    """A catalogue and the record of its image store."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    product = np.sort(rng.integers(0, rows // 4, size=rows))
    _, product = np.unique(product, return_inverse=True)
    label = rng.integers(0, LABELS, size=product.max() + 1)[product]
    side = rng.choice(["train", "val", "test"], p=[0.7, 0.1, 0.2], size=product.max() + 1)[product]
    paths = [f"{one // 1000:04}/{one:07}_{row}.jpg" for row, one in enumerate(product)]
    hashes = [hashlib.sha256(path.encode()).hexdigest() for path in paths]
    copies = [f"copy{row // 50}" if row % 50 < 2 and row % 100 < 50 else None for row in range(rows)]
    columns = {
        "id": text_column([path.removesuffix(".jpg") for path in paths]),
        "path": text_column(paths),
        "split": text_column(side.tolist()),
        "product": text_column([f"product-{one:07}" for one in product]),
        "label": text_column([f"label {one}" for one in label]),
        "caption": text_column(
            [f"a photograph of label {kind}, product {one}" for kind, one in zip(label, product, strict=True)]
        ),
        "query": pd.Series(np.ones(rows, dtype=bool)),
        "gallery": pd.Series(np.ones(rows, dtype=bool)),
        "width": pd.Series(rng.integers(600, 1001, size=rows), dtype="int32"),
        "height": pd.Series(rng.integers(600, 1001, size=rows), dtype="int32"),
        "sha256": text_column(hashes),
        "duplicate_group": text_column([None] * rows),
        "pixel_sha256": text_column(hashes),
        NEAR_DUPLICATES: text_column(copies),
    }
    assert set(COLUMNS) <= set(columns)
    write_catalog(Catalog(rows=pd.DataFrame(columns), root=folder, folder=folder))
    write_record(stored(paths, hashes), folder / RECORD_FILE)


def stored(paths: list[str], hashes: list[str]) -> Record:
    """A record as of JPEGs of 36 kB in shards of 256."""
    rows = np.arange(len(paths))
    values = {
        "path": paths,
        "size": np.full(len(rows), 100_000),
        "mtime_ns": np.zeros(len(rows), dtype=np.int64),
        "sha256": hashes,
        "pixel_sha256": hashes,
        "shard": [f"{row // 256:08x}.jpg" for row in rows],
        "offset": rows % 256 * 36_000,
        "length": np.full(len(rows), 36_000),
        "stored_width": np.full(len(rows), SIDE),
        "stored_height": np.full(len(rows), SIDE),
        "crc32": rows,
    }
    nothing = [None] * len(rows)
    table = pa.Table.from_pydict({name: values.get(name, nothing) for name in FACTS.names}, schema=FACTS)
    settings = StoreSettings(kind="jpeg", side=SIDE, quality=90)
    return Record(table=table, settings=settings, origin={"kind": "benchmark"})


if __name__ == "__main__":
    main()
