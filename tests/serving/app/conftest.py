"""A service over the tiny shop's bundle, without a network; texts are ids of items."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from starlette.testclient import TestClient

from simtrain.console import Console
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.serving.app.api import create_app
from simtrain.serving.app.bundle_items import BundleItems
from simtrain.serving.app.live_bundle import LiveBundle, ServedPlace, manifest_stamp
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.served_bundle import ServedBundle
from simtrain.serving.app.settings import ServeSettings, usual_limits
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.opened_bundle import OpenedBundle
from simtrain.serving.picture_folders import PictureFolders
from simtrain.serving.query_encoder import QueryEncoder
from simtrain.serving.searcher import Searcher
from simtrain.serving.torch_query_encoder import TorchQueryEncoder

LEVELS = [
    {"wanted_precision": 0.9, "similarity": 0.6, "positives": 90, "negatives": 10},
    {"wanted_precision": 0.95, "similarity": 0.9, "positives": 95, "negatives": 5},
]


HEAVY = ("albumentations", "matplotlib", "pytorch_lightning", "sentence_transformers", "timm", "torch", "transformers")
SERVE = f"""
import sys
from simtrain.cli import main
try:
    main()
finally:
    print("imported:", sorted({{name.partition(".")[0] for name in sys.modules}} & set({HEAVY})), file=sys.stderr)
"""


@dataclass(frozen=True, kw_only=True)
class ServingProcess:
    """`simtrain serve` as a process of its own."""

    url: str
    process: subprocess.Popen[str]

    def ended(self, signal_number: int) -> tuple[int, str, str]:
        """Exit status, and what it still wrote, after a signal."""
        self.process.send_signal(signal_number)
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors


@dataclass(frozen=True, kw_only=True)
class NamingEncoder:
    """A `QueryEncoder` whose texts are ids: each has the embedding of its item."""

    images: QueryEncoder
    vectors: dict[str, NDArray[np.float32]]
    no_texts: str | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        return self.images.preprocessing

    @property
    def embedding_size(self) -> int:
        return self.images.embedding_size

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.images.embed_pixels(pixels)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self.vectors[text] for text in texts])

    def tokens_read(self, text: str) -> int | None:
        return None


@pytest.fixture
def settings() -> ServeSettings:
    return ServeSettings(
        host="0.0.0.0",
        port=0,
        token=None,
        url_hosts=(),
        limits=usual_limits(upload_megabytes=0.2, megapixels=1, seconds=5),
    )


@pytest.fixture
def served_folder(content: BundleContent, tmp_path: Path) -> Path:
    """A bundle with thresholds that a test may replace."""
    thresholds = {"relevance": ["label"], "levels": LEVELS}
    return write_bundle(replace(content, thresholds=thresholds, no_thresholds=None), tmp_path / "served", formats=())


@pytest.fixture
def opening(served_folder: Path, factory: Callable[..., Any], shop: Any) -> Callable[[], OpenedBundle]:
    def opened() -> OpenedBundle:
        bundle = Bundle.open(served_folder)
        images = TorchQueryEncoder(encoder=bundle.load_encoder(factory), device=torch.device("cpu"))
        encoder = NamingEncoder(images=images, vectors=dict(zip(shop.items["id"], shop.embeddings, strict=True)))
        searcher = Searcher(bundle=bundle, encoder=encoder)
        return OpenedBundle(bundle=bundle, load_searcher=lambda: searcher, exported=None)

    return opened


@pytest.fixture
def metrics() -> ServiceMetrics:
    return ServiceMetrics()


@pytest.fixture
def make_place(served_folder: Path, opening: Callable[[], OpenedBundle]) -> Callable[..., ServedPlace]:
    """`make_place(images=…)`: the bundle, with pictures from another folder."""

    def make(*, images: Path | None = None) -> ServedPlace:
        def opened() -> Any:
            bundle = opening()
            if images is not None:
                below = PictureFolders(folders={"": images})
                bundle = replace(bundle, bundle=replace(bundle.bundle, pictures=below))
            return bundle, BundleItems(opened=bundle)

        return ServedPlace(what="bundle", opening=opened, stamp=lambda: manifest_stamp(served_folder))

    return make


@pytest.fixture
def make_client(
    make_place: Callable[..., ServedPlace], settings: ServeSettings, metrics: ServiceMetrics
) -> Iterator[Callable[..., TestClient]]:
    """`make_client(token=…)`: a running service whose settings are changed so; `images`: with pictures from there."""
    running: list[TestClient] = []

    def make(*, images: Path | None = None, **changes: Any) -> TestClient:
        changed = replace(settings, **changes)
        place = make_place(images=images)
        live = LiveBundle(place=place, limits=changed.limits, metrics=metrics, console=Console())
        client = TestClient(create_app(live, settings=changed, metrics=metrics))
        running.append(client)
        client.__enter__()
        return client

    yield make
    for client in running:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    return make_client()


@pytest.fixture
def served(
    opening: Callable[[], OpenedBundle], settings: ServeSettings, metrics: ServiceMetrics
) -> Iterator[ServedBundle]:
    opened = opening()
    items = BundleItems(opened=opened)
    bundle = ServedBundle(opened=opened, items=items, limits=settings.limits, metrics=metrics)
    yield bundle
    bundle.close()


@pytest.fixture(scope="module")
def onnx_folder(content: BundleContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with thresholds and `encoder.onnx`."""
    from simtrain.serving.onnx_export import ONNX

    thresholds = {"relevance": ["label"], "levels": LEVELS}
    told = replace(content, thresholds=thresholds, no_thresholds=None)
    return write_bundle(told, tmp_path_factory.mktemp("onnx") / "bundle", formats=[ONNX])


@pytest.fixture
def serve_process() -> Iterator[Callable[..., ServingProcess]]:
    """`serve_process(folder, *options)`: the command, ready to answer."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, *options: str) -> ServingProcess:
        command = [sys.executable, "-c", SERVE, "serve", str(folder), "--port", "0", *options]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert lines[1].startswith("serving: http://"), (lines, process.communicate(timeout=10))
        return ServingProcess(url=lines[1].split()[1], process=process)

    yield start
    for process in started:
        process.kill()
        process.communicate()
