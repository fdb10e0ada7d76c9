"""Names of settings in messages of a running training, as the user would type them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SettingNames:
    """What the settings are called that a message about a running training proposes to change.

    Attributes:
        learning_rate: Peak rate of the encoder.
        precision: Arithmetic of the network.
        temperature: Setting that divides the similarities of a loss.
        margin: Margin of a triplet loss.
        miner: Choice of its triplets.
        stop_on_collapse: Whether a collapsed run ends.
    """

    learning_rate: str
    precision: str
    temperature: str
    margin: str
    miner: str
    stop_on_collapse: str
