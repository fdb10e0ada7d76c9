"""A bundle of a tiny CLIP whose images and texts onnxruntime embeds."""

from pathlib import Path

import numpy as np
from network_bundle import network_content
from PIL import Image
from tiny_clip import make_tiny_clip

from simtrain.builders.encoder import build_encoder
from simtrain.config import ClipConfig
from simtrain.serving.bundle_writer import write_bundle
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
    pixels = [np.asarray(blob.resize((side, side))) for blob in blobs]
    content = network_content(encoder, config.model_dump(mode="json"), pixels, root=folder, width=2)
    return write_bundle(content, folder / "bundle", formats=FORMATS)
