"""A bundle's ONNX file as its encoder."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import TinyEncoder

from simtrain.data.embedding_cache import encoder_fingerprint
from simtrain.encoders.base import Encoder
from simtrain.files import sha256_of_file
from simtrain.serving.onnx_bundle_encoder import OnnxBundleEncoder
from simtrain.serving.onnx_export import export_onnx, onnx_available

PIXELS = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def exported(encoder: Encoder, path: Path) -> OnnxBundleEncoder:
    export_onnx(encoder.eval(), path)
    return OnnxBundleEncoder(
        path=path,
        content=path.read_bytes(),
        preprocessing=encoder.preprocessing,
        embedding_size=encoder.embedding_size,
    )


@pytest.mark.slow
@pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")
def test_it_embeds_as_torch_does_mirror_images_once_and_is_told_apart_by_its_file(tmp_path: Path):
    torch.manual_seed(0)
    plain = TinyEncoder()
    mirrored = plain.with_preprocessing(replace(plain.preprocessing, flip_averaging=True))
    found = {}
    for name, encoder in (("plain", plain), ("mirrored", mirrored)):
        found[name] = exported(encoder, tmp_path / f"{name}.onnx")
        torch.testing.assert_close(found[name].embed_pixels(PIXELS), encoder.embed_pixels(PIXELS), atol=1e-4, rtol=0)
        assert found[name].behaviour == sha256_of_file(tmp_path / f"{name}.onnx")
    assert not torch.allclose(plain.embed_pixels(PIXELS), mirrored.embed_pixels(PIXELS), atol=1e-3)
    names = {encoder_fingerprint(each.with_preprocessing(plain.preprocessing), images="x") for each in found.values()}
    assert len(names) == 2
