"""Scenes within the bounds that they promise."""

import numpy as np

from simtrain.synthetic.scene import BACKDROPS, catalogue_scene, free_scene


def test_the_catalogue_shot_is_on_white_and_upright() -> None:
    for seed in range(20):
        scene = catalogue_scene(rng=np.random.default_rng(seed))
        assert (scene.backdrop, scene.pose.roll, scene.pose.shift, scene.quality) == ("white", 0.0, (0.0, 0.0), 95)
        assert scene.light.tint == (1.0, 1.0, 1.0)


def test_snapshots_differ_in_everything_and_stay_in_bounds() -> None:
    scenes = [free_scene("mug", rng=np.random.default_rng(seed)) for seed in range(300)]
    assert {scene.backdrop for scene in scenes} == set(BACKDROPS)
    assert {62 <= scene.quality < 96 for scene in scenes} == {True}
    assert max(abs(scene.pose.yaw) for scene in scenes) > 70
    assert all(0.52 <= scene.pose.fill <= 0.88 and 6 <= scene.pose.pitch <= 38 for scene in scenes)
    for scene in scenes:
        np.testing.assert_allclose(np.linalg.norm(scene.light.direction), 1.0)
        assert scene.light.direction[1] > 0


def test_fronts_that_tell_products_apart_stay_in_sight() -> None:
    turns = [abs(free_scene("clock", rng=np.random.default_rng(seed)).pose.yaw) for seed in range(200)]
    assert 45 < max(turns) <= 52
