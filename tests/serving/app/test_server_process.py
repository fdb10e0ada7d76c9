"""`simtrain serve` as its own process: without torch, replaced in service, ended by a signal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.onnx_export import ONNX, onnx_available

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")]


def test_it_imports_no_torch_and_ends_well(onnx_folder: Path, serve_process: Callable[..., Any], shop: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        served = serve_process(onnx_folder)
        upload = {"image": (shop.root / "11.png").read_bytes()}
        answer = httpx2.post(f"{served.url}api/search", params={"k": 3}, files=upload, timeout=60)
        assert answer.json()["neighbours"][0]["id"] == "p11"
        assert httpx2.get(f"{served.url}api/search", params={"id": "p11", "filter": "label=lamp"}).status_code == 200
        assert httpx2.get(f"{served.url}api/picture", params={"id": "p11"}).status_code == 200
        pictures = f"pictures: {shop.root.resolve()}\n"
        assert served.ended(number) == (0, "", f"{pictures}stopped\nimported: []\n")


def test_a_bundle_replaced_under_load_answers_from_one_or_the_other(
    content: BundleContent, other_content: BundleContent, serve_process: Callable[..., Any], shop: Any, tmp_path: Path
) -> None:
    folder = write_bundle(content, tmp_path / "bundle", formats=[ONNX])
    served = serve_process(folder)
    upload = (shop.root / "11.png").read_bytes()
    seen: list[tuple[str, tuple[float, ...]]] = []
    failures, stop = [], threading.Event()

    def ask() -> None:
        with httpx2.Client(timeout=60) as client:
            while not stop.is_set():
                answer = client.post(f"{served.url}api/search", params={"k": 3}, files={"image": upload})
                if answer.status_code != 200:
                    failures.append(answer.text)
                    continue
                told = answer.json()
                near = tuple(round(one["similarity"], 4) for one in told["neighbours"])
                seen.append((told["fingerprint"], near))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while not seen and time.monotonic() < end:
        time.sleep(0.05)
    write_bundle(replace(other_content), folder, formats=[ONNX])
    while len({fingerprint for fingerprint, _ in seen}) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(dict(seen)) == 2
    assert len(set(seen)) == 2  # one list of similarities for each bundle
    assert served.ended(signal.SIGTERM)[0] == 0
