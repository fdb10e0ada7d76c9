"""Content of a bundle with a real encoder and pictures that nothing more is known of."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from simtrain.encoders.arithmetic import FLOAT32
from simtrain.encoders.base import Encoder
from simtrain.serving.bundle_writer import BundleContent, IndexSettings


def network_content(
    encoder: Encoder,
    config: dict[str, Any],
    pixels: list[NDArray[np.uint8]],
    *,
    root: Path,
    width: int = 1,
    thresholds: dict[str, Any] | None = None,
) -> BundleContent:
    """The pictures are named `p0`, `p1` and so on.

    Args:
        encoder: The encoder.
        config: Its section of a configuration.
        pixels: Pictures, prepared for it.
        root: Folder that their files would lie in.
        width: Digits of the numbers in their names.
        thresholds: Calibrated thresholds; None: not measured.
    """
    names = [f"p{number:0{width}d}" for number in range(len(pixels))]
    return BundleContent(
        encoder=encoder,
        code=None,
        encoder_config=config,
        embeddings=encoder.embed_pixels(torch.from_numpy(np.stack(pixels))).numpy(),
        arithmetic=FLOAT32,
        items=pd.DataFrame({"id": names, "path": [f"{name}.png" for name in names]}),
        root=root,
        relocatable=True,
        run={},
        metrics={},
        thresholds=thresholds,
        no_thresholds="not measured" if thresholds is None else None,
        index=IndexSettings(factory="Flat", wanted_recall=0.99, stored_as="float32"),
    )
