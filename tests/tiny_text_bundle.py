"""A bundle of a tiny CLIP whose images and texts onnxruntime embeds."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tiny_clip import make_tiny_clip

from simtrain.builders import build_encoder
from simtrain.config import ClipConfig
from simtrain.serving.bundle_writer import BundleContent, IndexSettings, write_bundle
from simtrain.serving.export_formats import FORMATS


def make_tiny_text_bundle(folder: Path, *, count: int = 12) -> Path:
    """Export random pictures, whose ids are `p00`, `p01` and so on.

    Args:
        folder: Is made.
        count: Number of pictures.
    """
    config = ClipConfig(kind="clip", model=str(make_tiny_clip(folder / "clip")))
    encoder = build_encoder(config, load=True).eval()
    side, generator = encoder.preprocessing.image_size, np.random.default_rng(4)
    blobs = [Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(count)]
    pixels = torch.from_numpy(np.stack([np.asarray(blob.resize((side, side))) for blob in blobs]))
    names = [f"p{number:02d}" for number in range(count)]
    content = BundleContent(
        encoder=encoder,
        code=None,
        encoder_config=config.model_dump(mode="json"),
        embeddings=encoder.embed_pixels(pixels).numpy(),
        items=pd.DataFrame({"id": names, "path": [f"{name}.png" for name in names]}),
        root=folder,
        relocatable=True,
        run={},
        metrics={},
        thresholds=None,
        no_thresholds="not measured",
        index=IndexSettings(factory="Flat", wanted_recall=0.99, stored_as="float32"),
    )
    return write_bundle(content, folder / "bundle", formats=FORMATS)
