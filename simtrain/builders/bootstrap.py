"""Settings of bootstrap intervals from a run's configuration."""

from simtrain.config import RunConfig
from simtrain.evaluation.statistics import BootstrapSettings


def build_bootstrap(config: RunConfig) -> BootstrapSettings:
    """Settings of the intervals of a run's metrics."""
    return BootstrapSettings(
        draws=config.evaluation.bootstrap_draws, confidence=config.evaluation.confidence, seed=config.seed
    )
