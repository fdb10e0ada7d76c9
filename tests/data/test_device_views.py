"""Views that a device makes, pixel by pixel against those of the loading processes, and on a GPU that is claimed."""

import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from claimed_cuda import ClaimedGpu, claimed, counted_waits
from numpy.typing import NDArray

from simtrain.data import device_views
from simtrain.data.batch import Batch
from simtrain.data.device_views import made_views
from simtrain.data.presets import PRESETS, AugmentationParts
from simtrain.data.transforms import PartViews
from simtrain.data.view_plans import ViewPlan, joined_pictures

SIDE, VIEWS = 48, 12
Picture = NDArray[np.uint8]
PARTS = {
    **PRESETS,
    "crop after a move": replace(PRESETS["affine"], crop=0.4, border="white"),
    "mirror image": replace(PRESETS["color_sensitive"], border="reflect"),
    "plain": replace(PRESETS["affine"], border="replicate", color="none"),
}


def smooth(height: int, width: int, *, seed: int) -> Picture:
    """A picture without edges, in which a pixel that is a little elsewhere has nearly the same colour."""
    noise = np.random.default_rng(seed).integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def pictures(*sizes: tuple[int, int]) -> list[list[Picture]]:
    return [[smooth(height, width, seed=number)] for number, (height, width) in enumerate(sizes)]


def plan_for(parts: AugmentationParts, sources: list[list[Picture]], *, views: int = VIEWS) -> ViewPlan:
    seeds = [[100 * sample + view for view in range(views)] for sample in range(len(sources))]
    return PartViews(parts, image_size=SIDE).plan(sources, seeds)


@pytest.mark.parametrize("name", PARTS)
def test_views_are_those_of_the_loading_processes(name: str) -> None:
    parts, sources = PARTS[name], pictures((SIDE, SIDE), (60, 72), (56, 56))
    made = made_views(joined_pictures(sources), plan_for(parts, sources))
    transform = PartViews(parts, image_size=SIDE)
    expected = np.array(
        [[transform(own[0], seed=100 * sample + view) for view in range(VIEWS)] for sample, own in enumerate(sources)]
    )
    apart = np.abs(made.numpy().astype(int) - expected)
    hue_in_steps = parts.color in ("all_hues", "simclr")  # of 2 degrees, and cut off at 0 and 255 before it is turned
    assert apart.mean() < (1.5 if hue_in_steps else 0.7)
    assert np.quantile(apart, 0.99) <= (12 if hue_in_steps else 4)


def test_large_pictures_are_merged_before_they_are_sampled() -> None:
    parts, sources = replace(PARTS["plain"], rotation=0, zoom=0, shift=0, flip=False), pictures((4 * SIDE, 2 * SIDE))
    made = made_views(joined_pictures(sources), plan_for(parts, sources, views=1))
    means = sources[0][0].reshape(SIDE, 4, SIDE, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(made[0, 0].numpy(), means, atol=0.51)


def test_neighbours_in_a_batch_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = pictures((SIDE, SIDE), (2 * SIDE, 2 * SIDE), (60, 72))
    together = made_views(joined_pictures(sources), plan_for(PRESETS["simclr"], sources))
    monkeypatch.setattr(device_views, "_AT_ONCE", 1)
    one_by_one = made_views(joined_pictures(sources), plan_for(PRESETS["simclr"], sources))
    assert (together.int() - one_by_one.int()).abs().max() <= 1


def test_a_blur_is_opencv_s() -> None:
    views = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 255
    plan = plan_for(PARTS["plain"], pictures((SIDE, SIDE)), views=3).each(lambda tensor: tensor.flatten(0, 1))
    deviations = [0.0, 0.6, 1.7]
    blurred = device_views._blurred(views, replace(plan, blur=torch.tensor(deviations), widest_blur=7, reach=3))
    assert torch.equal(blurred[0], views[0])
    for deviation, view, found in zip(deviations[1:], views[1:], blurred[1:], strict=True):
        window = min(7, 2 * int(np.ceil(3 * deviation)) + 1)
        expected = cv2.GaussianBlur(view.permute(1, 2, 0).numpy(), (window, window), deviation)
        np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("amount", [-0.3, 0.1, 0.5])
def test_a_hue_is_turned_as_in_hsv(amount: float) -> None:
    colors = np.random.default_rng(2).integers(0, 256, size=(50, 3)).astype(np.float32)
    found = device_views._turned(torch.tensor(colors.T[None, :, :, None]), torch.tensor([amount]))
    hsv = cv2.cvtColor(colors[:, None] / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = np.mod(hsv[..., 0] + 360 * amount, 360)
    expected = 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[:, 0]
    np.testing.assert_allclose(found[0, :, :, 0].T.numpy(), expected, atol=0.05)


def test_a_sample_s_views_may_show_pictures_of_their_own() -> None:
    sources = [[smooth(SIDE, SIDE, seed=0), smooth(60, 60, seed=1)]]
    transform = PartViews(PARTS["plain"], image_size=SIDE)
    both = made_views(joined_pictures(sources), transform.plan(sources, [[5, 6]]))
    for view, (picture, seed) in enumerate(zip(sources[0], (5, 6), strict=True)):
        apart = np.abs(both[0, view].numpy().astype(int) - transform(picture, seed=seed))
        assert apart.mean() < 0.7


@pytest.mark.parametrize("name", PARTS)
def test_on_a_gpu_nothing_is_on_the_wrong_device_and_the_host_never_waits(name: str) -> None:
    sources = pictures((SIDE, SIDE), (2 * SIDE, 2 * SIDE))
    plan, images = plan_for(PARTS[name], sources), joined_pictures(sources)
    expected = made_views(images, plan)
    with ClaimedGpu(), counted_waits() as waits:
        made = made_views(claimed(images), plan.each(claimed))
    assert not waits.ours
    assert not waits.theirs
    assert torch.equal(made.held, expected)


def test_a_batch_has_its_views_made_once() -> None:
    sources = pictures((SIDE, SIDE), (60, 60))
    plan = plan_for(PRESETS["affine"], sources, views=2)
    rows = torch.tensor([[4, 4], [7, 7]])
    batch = Batch(views=joined_pictures(sources), labels=torch.tensor([0, 1]), rows=rows, plan=plan)
    made = batch.to(torch.device("cpu")).made()
    assert made.views.shape == (2, 2, SIDE, SIDE, 3)
    assert made.plan is None
    assert made.made() is made
    assert torch.equal(made.rows, rows)
    assert zlib.crc32(made.views.numpy().tobytes()) == zlib.crc32(batch.made().views.numpy().tobytes())
