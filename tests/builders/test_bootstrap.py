"""Settings of bootstrap intervals from a run's configuration."""

from small_configs import SIMCLR, config_of

from simtrain.builders.bootstrap import build_bootstrap
from simtrain.evaluation.statistics import BootstrapSettings


def test_draws_and_confidence_are_those_of_the_evaluation_and_the_seed_is_the_run_s() -> None:
    config = config_of(SIMCLR, evaluation={"bootstrap_draws": 321, "confidence": 0.9}, seed=7)
    assert build_bootstrap(config) == BootstrapSettings(draws=321, confidence=0.9, seed=7)
