"""Which encoders a quick comparison is of."""

import pytest

from simtrain.config import load_compare_config, quick_config


@pytest.mark.parametrize(
    ("overrides", "with_runs", "encoders", "powers"),
    [
        ([], True, ["histogram_hsv"], [0.5]),
        ([], False, ["histogram_hsv", "efficientnet_lite0"], [0.5]),
        (["encoders=[pixels]"], True, ["pixels"], [0.5]),
        (["whitening.power=0.25"], True, ["histogram_hsv"], [0.25]),
    ],
)
def test_quick_is_of_the_few_that_decide(
    overrides: list[str], with_runs: bool, encoders: list[str], powers: list[float]
) -> None:
    found = quick_config(load_compare_config(None, overrides), with_runs=with_runs)
    assert (found.encoders, found.training_size) == (encoders, True)
    assert found.whitening is not None
    assert found.whitening.power == powers
    assert (found.pictures.map_method, found.robustness_images) == ("pca", 100)
    assert quick_config(load_compare_config(None, ["robustness_images=0"]), with_runs=True).robustness_images == 0
    assert (
        quick_config(load_compare_config(None, ["pictures.map_method=umap"]), with_runs=True).pictures.map_method
        == "umap"
    )
