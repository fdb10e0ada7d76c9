"""Smaller copies of an exported encoder, beside the encoder itself on files of images."""

# Shapes: N = 24 images, D dimensions of the embedding.

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from tiny_clip import make_tiny_clip

from simtrain.builders.encoder import build_encoder
from simtrain.catalog.images import read_image
from simtrain.config import parse_encoder
from simtrain.encoders.base import Encoder
from simtrain.encoders.whitening import fit_whitening
from simtrain.errors import BundleError
from simtrain.serving.onnx_export import export_onnx, onnx_available
from simtrain.serving.onnx_precision import (
    PRECISION_FILES,
    Precision,
    PrecisionSample,
    precision_lines,
    smaller_onnx,
)
from simtrain.serving.onnx_runtime import OnnxEncoder

needs_onnx = pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")
COUNT = 24


@dataclass(frozen=True)
class Exported:
    encoder: Encoder
    folder: Path
    pixels: NDArray[np.uint8]
    expected: NDArray[np.float32]

    def sample(self) -> PrecisionSample:
        return PrecisionSample(
            calibration=self.pixels[:12],
            pixels=self.pixels[12:],
            expected=self.expected[12:],
            figures=lambda found: {"measured_on": "val", "rows": len(found)},
        )


def resnet(folder: Path) -> Encoder:
    return built({"kind": "resnet", "model": "resnet18", "weights": "none", "image_size": 64})


def clip(folder: Path) -> Encoder:
    return built({"kind": "clip", "model": str(make_tiny_clip(folder / "clip"))})


def whitened_transformer(folder: Path) -> Encoder:
    encoder = built({"kind": "timm", "model": "test_vit", "weights": "none", "image_size": 160})
    size = encoder.embedding_size
    train = torch.randn(300, size, generator=torch.Generator().manual_seed(1)) * torch.logspace(0, -2, size)
    encoder.whiten(fit_whitening(F.normalize(train + 0.3, dim=1), dimensions=None, shrinkage=0.1, power=0.5))
    return encoder


def built(values: dict[str, Any]) -> Encoder:
    torch.manual_seed(0)
    return build_encoder(parse_encoder(values, where="test"), load=True).eval()


@pytest.fixture(scope="module", params=[resnet, clip, whitened_transformer])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    make: Callable[[Path], Encoder] = request.param
    folder = tmp_path_factory.mktemp("exported")
    encoder, generator = make(folder), np.random.default_rng(3)
    for number in range(COUNT):
        blob = Image.fromarray(generator.integers(0, 256, (5, 4, 3), dtype=np.uint8))
        blob.resize((90, 120), Image.Resampling.BICUBIC).save(folder / f"{number:02d}.jpg")
    files = sorted(folder.glob("*.jpg"))
    pixels = np.stack([encoder.preprocessing.pixels(read_image(file)) for file in files])
    export_onnx(encoder, folder / "encoder.onnx")
    return Exported(encoder, folder, pixels, encoder.embed_pixels(torch.from_numpy(pixels)).numpy())


@pytest.mark.slow
@needs_onnx
@pytest.mark.parametrize(("precision", "share", "least_cosine"), [("float16", 0.6, 0.999), ("int8", 0.6, 0.9)])
def test_a_copy_is_smaller_and_near_and_says_how_near(
    exported: Exported,
    precision: Precision,
    share: float,
    least_cosine: float,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    path = exported.folder / PRECISION_FILES[precision]
    told = smaller_onnx(precision, exported.sample()).write(exported.encoder, path)
    shown, said = capfd.readouterr()
    # A Milvus of another test may still say something from a thread of its own.
    assert (shown, [line for line in said.splitlines() if "chttp2_transport" not in line]) == ("", [])
    assert not recwarn.list
    images = exported.encoder.preprocessing.normalised(exported.pixels)
    found = np.concatenate([OnnxEncoder(path=path).embed(image[None]) for image in images])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    cosines = (found * exported.expected).sum(axis=1)
    assert cosines.min() > least_cosine
    whole = (exported.folder / "encoder.onnx").stat().st_size
    assert path.stat().st_size < share * whole
    assert told is not None
    assert (told["precision"], told["bytes"], told["bytes_of_float32"]) == (precision, path.stat().st_size, whole)
    assert (told["images"], told["rows"], told["measured_on"]) == (12, 12, "val")
    assert told["largest_difference"] == pytest.approx(np.abs(found - exported.expected)[12:].max(), rel=1e-3)
    assert told["lowest_cosine"] == pytest.approx(cosines[12:].min(), abs=1e-5)


@pytest.mark.slow
@needs_onnx
@pytest.mark.parametrize("exported", [clip], indirect=True)
def test_a_copy_that_gives_no_numbers_is_refused(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    path = exported.folder / "encoder.float16.onnx"
    path.unlink(missing_ok=True)
    monkeypatch.setattr(OnnxEncoder, "embed", lambda self, images: np.full((len(images), 4), np.nan, dtype=np.float32))
    with pytest.raises(BundleError) as caught:
        smaller_onnx("float16", exported.sample()).write(exported.encoder, path)
    assert str(caught.value) == (
        f"{path}: some embeddings are not finite (numbers too large for float16?); leave it out"
    )
    assert not path.exists()


@needs_onnx
def test_a_file_that_is_no_network_is_told(tmp_path: Path) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"not a model")
    sample = PrecisionSample(
        calibration=np.zeros((1, 8, 8, 3), dtype=np.uint8),
        pixels=np.zeros((1, 8, 8, 3), dtype=np.uint8),
        expected=np.zeros((1, 4), dtype=np.float32),
        figures=lambda found: {},
    )
    encoder = built({"kind": "pixels"})
    with pytest.raises(BundleError, match=r"encoder\.int8\.onnx: cannot be made of encoder\.onnx: .+; leave int8 out"):
        smaller_onnx("int8", sample).write(encoder, tmp_path / "encoder.int8.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.onnx"]


def test_lines_say_size_recall_and_who_answers() -> None:
    common = {"bytes": 3_412_000, "bytes_of_float32": 13_210_000, "images": 512, "lowest_cosine": 0.98765,
              "largest_difference": 0.0213}  # fmt: skip
    on_val = {**common, "measured_on": "val", "recall_at_10": 0.912, "recall_at_10_of_float32": 0.915}
    on_items = {**common, "measured_on": "items", "neighbours_kept": 0.973}
    assert precision_lines({"encoder.int8.onnx": on_val, "encoder.float16.onnx": on_items}) == [
        "encoder.int8.onnx: 3.4 MB (encoder.onnx: 13.2), recall_at_10 on val 0.9120 (-0.0030), lowest cosine to it "
        "0.9877, numbers differ by up to 0.021 (512 images); searches use encoder.onnx",
        "encoder.float16.onnx: 3.4 MB (encoder.onnx: 13.2), finds 97.3 % of the 10 nearest items, lowest cosine to it "
        "0.9877, numbers differ by up to 0.021 (512 images); searches use encoder.onnx",
    ]
