"""What this machine's card gives: training, gradient caching, embedding, ranking, export, and waits for the card.

    scripts/bench/gpu                      # under 8 minutes on one card; writes gpu.json, prints the table
    scripts/bench/gpu --device cpu --small # the same steps on a CPU, to see that they run

No hub and no weights are needed: speed does not depend on what a network has learned. Of each network the same batch is
trained three ways: by `simtrain.fit` with its loading processes, by the same module over a batch that lies on the card,
and by a bare loop of torch. The first two differ by what loading costs, the last two by what the module costs.
"""

import argparse
import contextlib
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import simtrain
from simtrain.api.run import OpenedRun
from simtrain.builders.data import build_data
from simtrain.builders.encoder import build_encoder
from simtrain.builders.objective import build_module
from simtrain.builders.training_inputs import TrainingInputs
from simtrain.catalog.store.reader import open_images
from simtrain.config import RunConfig, parse_run_config
from simtrain.console import SILENT
from simtrain.data.batch import Batch
from simtrain.encoders.base import Encoder
from simtrain.evaluation.metrics import score_queries
from simtrain.evaluation.retrieval_set import RetrievalSet
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import configured_catalog
from simtrain.training.devices import chosen_precision

NETWORKS = {
    "resnet50": {"kind": "resnet", "model": "resnet50", "weights": "none"},
    "vit_base_patch32": {"kind": "timm", "model": "vit_base_patch32_224", "weights": "none"},
}
SMALL = {"resnet18": {"kind": "resnet", "model": "resnet18", "weights": "none"}}
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is done: pictures of a side in pixels, batches, steps, and (queries = gallery) items of the ranking."""

    side: int
    batch: int
    steps: int
    products: int
    ranked: int


class Proof:
    """Measurements on one device, as rows of a table.

    Args:
        device: Where everything runs.
        sizes: How much is done.
        folder: Scratch.
    """

    def __init__(self, *, device: torch.device, sizes: Sizes, folder: Path) -> None:
        self._device, self._sizes, self._folder = device, sizes, folder
        self._precision = chosen_precision("auto", device=device)
        self.rows: list[dict[str, Any]] = []

    def note(self, what: str, value: float, unit: str) -> None:
        """Keep a figure, and print it."""
        self.rows.append({"what": what, "value": round(value, 4), "unit": unit})
        print(f"{what:62} {value:12.2f} {unit}", flush=True)

    def trained(self, name: str, encoder: dict[str, Any]) -> OpenedRun:
        """Images a second by fit, by the module over a batch that is there, and by a bare loop; and waits of a step."""
        sizes = self._sizes
        tree = self._tree(name, encoder)
        run = simtrain.fit(tree, console=SILENT)
        speeds = pd.read_csv(run.folder / "metrics.csv")["images_per_second"].dropna()
        self.note(f"{name}: fit with loading processes", 2 * float(speeds.iloc[-1]), "views/s")
        config = parse_run_config(tree, where="bench")
        step = self._module_step(config, sizes.batch, micro=None)
        self.note(f"{name}: the module over one batch", 2 * sizes.batch / self._seconds(step), "views/s")
        bare = self._bare_step(encoder, 2 * sizes.batch)
        self.note(f"{name}: bare loop of torch", 2 * sizes.batch / self._seconds(bare), "views/s")
        self.note(f"{name}: waits for the card in a step", self._waits(step), "waits")
        return run

    def made_views(self, encoder: dict[str, Any]) -> None:
        """Views a second that the card makes of a batch of pictures, and waits for it; SimCLR's recipe and `affine`."""
        for preset in ("simclr", "affine"):
            tree = {**self._tree(preset, encoder), "augmentation": {"preset": preset, "device": "trainer"}}
            config = parse_run_config(tree, where="bench")
            catalog = configured_catalog(config)
            images = open_images(catalog, smallest=self._sizes.side).reader
            network = build_encoder(config.encoder, load=False)
            data, _ = build_data(config, catalog, images=images, encoder=network, validation=None, texts=None)
            batch: Batch = next(iter(data.train_dataloader())).to(self._device)
            count = batch.rows.numel()
            self.note(f"{preset}: views made on the card", count / self._seconds(batch.made), "views/s")
            self.note(f"{preset}: waits while they are made", self._waits(batch.made), "waits")

    def gradient_caching(self, encoder: dict[str, Any]) -> None:
        """Peak memory of a batch at once and in parts of a fourth, beside that of the part alone."""
        if self._device.type != "cuda":
            return
        batch = self._sizes.batch
        config = parse_run_config(self._tree("caching", encoder), where="bench")
        for label, pairs, micro in (
            ("at once", batch, None),
            ("in parts", batch, batch // 4),
            ("a part", batch // 4, None),
        ):
            torch.cuda.reset_peak_memory_stats()
            self._module_step(config, pairs, micro=micro)()
            torch.cuda.synchronize()
            self.note(
                f"gradient caching: {pairs} pairs {label}, peak", torch.cuda.max_memory_allocated() / 2**20, "MiB"
            )

    def embedded(self, run: OpenedRun, encoder: Encoder) -> None:
        """Images a second through the evaluation's preprocessing, loading processes and network."""
        catalog = configured_catalog(run.config)
        images = open_images(catalog, smallest=encoder.preprocessing.image_size).reader
        rows = list(range(len(catalog.rows)))
        began = time.perf_counter()
        embed_rows(encoder, images, rows, config=run.config, console=SILENT)
        self.note("embedding the catalogue", len(rows) / (time.perf_counter() - began), "images/s")

    def ranked(self) -> None:
        """Exact metrics of every item against all others."""
        count = self._sizes.ranked
        generator = torch.Generator().manual_seed(0)
        vectors = F.normalize(torch.randn(count, 512, generator=generator), dim=1).to(self._device)
        ids, groups = [f"{row:07}" for row in range(count)], torch.arange(count).numpy() // 5
        items = RetrievalSet(
            query_embeddings=vectors, gallery_embeddings=vectors, query_ids=ids, gallery_ids=ids, query_groups=groups,
            gallery_groups=groups,
        )  # fmt: skip
        began = time.perf_counter()
        score_queries(items)
        seconds = time.perf_counter() - began
        self.note(f"ranking {count} x {count} x 512, metrics", 1e9 * seconds / count**2, "ns a pair")

    def exported(self, run: OpenedRun) -> None:
        """Seconds of an export, which opens the bundle again and embeds 64 images once more."""
        began = time.perf_counter()
        run.export(self._folder / "bundle", console=SILENT)
        self.note("export, verified", time.perf_counter() - began, "s")

    def _tree(self, name: str, encoder: dict[str, Any]) -> dict[str, Any]:
        sizes, accelerator = self._sizes, "gpu" if self._device.type == "cuda" else "cpu"
        return {
            "catalog": str(self._folder / "catalog"),
            "checkpoints": str(self._folder / "checkpoints"),
            "run": name,
            "encoder": {**encoder, "image_size": sizes.side},
            "objective": {"kind": "simclr"},
            "data": {"batch_size": sizes.batch},
            "trainer": {"max_steps": sizes.steps, "accelerator": accelerator, "devices": 1},
        }

    def _module_step(self, config: RunConfig, pairs: int, *, micro: int | None) -> Callable[[], None]:
        parts = config.data.model_copy(update={"batch_size": pairs, "micro_batch_size": micro})
        config = config.model_copy(update={"data": parts})
        inputs = TrainingInputs(groups=0, duplicate_groups=torch.full((pairs,), -1), reference=None)
        encoder = build_encoder(config.encoder, load=True)
        module = build_module(config, encoder=encoder, inputs=inputs, validation=None).train().to(self._device)
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=self._device.type == "cuda")
        side = self._sizes.side
        batch = Batch(
            views=torch.randint(0, 256, (pairs, 2, side, side, 3), dtype=torch.uint8),
            labels=torch.full((pairs,), -1),
            rows=torch.arange(pairs)[:, None].expand(pairs, 2),
        ).to(self._device)

        def step() -> None:
            with self._autocast():
                total = module.loss(module.gather_batch(batch)).total
            total.backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    def _bare_step(self, encoder: dict[str, Any], views: int) -> Callable[[], None]:
        network: nn.Module = timm.create_model(encoder["model"], pretrained=False, num_classes=0)
        network = network.train().to(self._device, memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=self._device.type == "cuda")
        side = self._sizes.side
        images = torch.randn(views, 3, side, side, device=self._device).to(memory_format=torch.channels_last)

        def step() -> None:
            with self._autocast():
                total: Tensor = network(images).float().square().mean()
            total.backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        dtype = AUTOCAST.get(self._precision)
        return contextlib.nullcontext() if dtype is None else torch.autocast(self._device.type, dtype=dtype)

    def _seconds(self, step: Callable[[], object]) -> float:
        """Seconds of a step, after three that are not counted."""
        for _ in range(3):
            step()
        self._wait()
        began = time.perf_counter()
        for _ in range(self._sizes.steps):
            step()
        self._wait()
        return (time.perf_counter() - began) / self._sizes.steps

    def _waits(self, step: Callable[[], object]) -> float:
        """How often a step waits for the card, by torch's own count of such calls."""
        with _told_waits(self._device) as told:
            step()
        return float(len([one for one in told if "synchroniz" in str(one.message)]))

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


@contextlib.contextmanager
def _told_waits(device: torch.device) -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield told
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a small network, small pictures, two steps")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    given = parser.parse_args()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that torch can use; to see that the steps run: --device cpu --small")
    large = Sizes(side=224, batch=128, steps=40, products=1000, ranked=20_000)
    sizes = Sizes(side=32, batch=8, steps=2, products=40, ranked=1000) if given.small else large
    name = torch.cuda.get_device_name(0) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, simtrain {simtrain.__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        proof = Proof(device=device, sizes=sizes, folder=Path(scratch))
        simtrain.prepare(f"synthetic:{sizes.products}", out=Path(scratch) / "catalog", console=SILENT)
        networks = SMALL if given.small else NETWORKS
        runs = [proof.trained(network, encoder) for network, encoder in networks.items()]
        proof.made_views(next(iter(networks.values())))
        proof.gradient_caching(next(iter(networks.values())))
        proof.embedded(runs[-1], runs[-1].encoder().network)
        proof.ranked()
        proof.exported(runs[-1])
    given.out.write_text(json.dumps({"device": name, "torch": torch.__version__, "rows": proof.rows}, indent=2) + "\n")
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
