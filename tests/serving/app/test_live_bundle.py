"""A bundle that is replaced while it is asked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from recording_console import RecordingConsole

from simtrain.serving.app.live_bundle import LiveBundle, ServedPlace
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.settings import ServeSettings
from simtrain.serving.bundle_writer import BundleContent, write_bundle


@pytest.fixture
def console() -> RecordingConsole:
    return RecordingConsole()


@pytest.fixture
def live(
    make_place: Callable[..., ServedPlace],
    settings: ServeSettings,
    metrics: ServiceMetrics,
    console: RecordingConsole,
) -> LiveBundle:
    return LiveBundle(place=make_place(), limits=settings.limits, metrics=metrics, console=console)


def test_each_request_keeps_its_bundle_and_the_next_sees_the_new_one(
    live: LiveBundle, other_content: BundleContent, served_folder: Path, console: RecordingConsole
) -> None:
    assert live.reload()
    with live.use() as before:
        pixels = np.zeros((8, 8, 3), dtype=np.uint8)
        first = before.embed(pixels).result(20)
        write_bundle(other_content, served_folder, formats=())
        assert live.reload()
        with live.use() as after:
            assert after is not before
            assert after.bundle.fingerprint != before.bundle.fingerprint
            second = after.embed(pixels).result(20)
        assert before.embed(pixels).result(20) == pytest.approx(first)
        assert np.abs(second - first).max() > 1e-3
    assert console.asides == [f"the bundle has changed: bundle: {served_folder} (40 items), encoder conv"]
    live.close()


def test_a_bundle_that_cannot_be_opened_does_not_replace_one(
    live: LiveBundle, served_folder: Path, content: BundleContent, console: RecordingConsole, metrics: ServiceMetrics
) -> None:
    manifest = served_folder / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole.replace('"created_by"', '"created_bx"'))
    with live.use() as before:
        pass
    assert not live.reload()
    assert not live.reload()
    assert console.asides == [
        "the bundle has changed and cannot be opened; the old one stays in service: "
        f"{manifest}: altered; export the bundle again"
    ]
    with live.use() as still:
        assert still is before
    write_bundle(content, served_folder, formats=())
    assert live.reload()
    with live.use() as after:
        assert after is not before
    text = metrics.text(waiting=0, items=40).decode()
    assert 'simtrain_reloads_total{outcome="failed"} 1.0' in text
    assert 'simtrain_reloads_total{outcome="done"} 1.0' in text
    live.close()


def test_a_bundle_that_is_gone_stays_in_service(live: LiveBundle, served_folder: Path) -> None:
    served_folder.rename(served_folder.with_name("elsewhere"))
    assert not live.reload()
    with live.use() as served:
        assert served.items.item("p11").id == "p11"
    live.close()
