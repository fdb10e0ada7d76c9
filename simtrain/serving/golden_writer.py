"""Writing of golden images, golden texts and their embeddings."""

import copy
import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from simtrain.encoders.base import Encoder
from simtrain.encoders.text import TextEncoder
from simtrain.serving.golden import GOLDEN_TEXTS, golden_images


def reference_copy(encoder: Encoder) -> Encoder:
    """Copy an encoder to what a bundle keeps of it: float32, on the CPU, evaluating."""
    return copy.deepcopy(encoder).float().cpu().eval()


def write_golden(path: Path, encoder: Encoder) -> None:
    """Save the golden images and what the encoder makes of them, as `images` and `embeddings`.

    Of an encoder that reads texts also `text_embeddings` of `texts`, which is JSON in UTF-8.
    """
    images = torch.from_numpy(golden_images(encoder.preprocessing.image_size))
    golden = {"images": images, "embeddings": encoder.embed_pixels(images)}
    if isinstance(encoder, TextEncoder):
        written = torch.tensor(list(json.dumps(GOLDEN_TEXTS).encode()), dtype=torch.uint8)
        golden |= {"texts": written, "text_embeddings": encoder.embed_texts(GOLDEN_TEXTS).cpu()}
    write_tensors(path, golden)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Save tensors that are on the CPU by name, as safetensors."""
    # safetensors' own writer makes files that nobody but their owner can read; a bundle is there to be passed on.
    path.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}))
