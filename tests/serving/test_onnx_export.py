"""ONNX against torch."""

import errno
import importlib.util
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from simtrain.builders.encoder import build_encoder
from simtrain.config import parse_encoder
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.encoders.whitening import fit_whitening
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.golden import golden_images
from simtrain.serving.onnx_export import ONNX, export_onnx, onnx_available
from simtrain.serving.onnx_runtime import OnnxEncoder
from simtrain.serving.verification import verify_bundle

needs_onnx = pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")


class Unexportable(PixelsEncoder):
    """Its result depends on a value, which no graph can hold."""

    @override
    def features(self, images: Tensor) -> Tensor:
        return super().features(images) if float(images.sum()) > 0 else images.flatten(1) + 1


@pytest.mark.slow
@needs_onnx
def test_a_bundle_with_onnx_gives_torchs_embeddings_for_any_batch_and_says_nothing(
    content: BundleContent,
    shop: Any,
    factory: Callable[..., Encoder],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    bundle = Bundle.open(write_bundle(content, tmp_path / "bundle", formats=[ONNX]))
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert bundle.onnx_path == tmp_path / "bundle" / "encoder.onnx"
    assert "encoder.onnx" in bundle.manifest["files"]
    assert not [place for place in (b".py", bytes(Path.cwd())) if place in bundle.onnx_path.read_bytes()]
    pixels = torch.from_numpy(golden_images(8))
    for count in (1, 2, 4):
        found = OnnxEncoder(path=bundle.onnx_path).embed(
            content.encoder.preprocessing.normalise(pixels[:count]).numpy()
        )
        torch.testing.assert_close(torch.from_numpy(found), content.encoder.embed_pixels(pixels[:count]).clone())
    names = sorted(shop.items["id"])
    verify_bundle(
        bundle.folder,
        images=lambda row: shop.picture(names[row]),
        network_factory=factory,
        rows=20,
        device=torch.device("cpu"),
    )


@pytest.mark.slow
@needs_onnx
def test_onnx_of_another_encoder_is_found_out(
    content: BundleContent,
    other_content: BundleContent,
    shop: Any,
    factory: Callable[..., Encoder],
    tmp_path: Path,
) -> None:
    other = replace(ONNX, write=lambda encoder, path: export_onnx(other_content.encoder, path))
    folder = write_bundle(content, tmp_path / "bundle", formats=[other])
    names = sorted(shop.items["id"])
    with pytest.raises(BundleError, match=r"^encoder\.onnx: onnxruntime's embeddings differ by .+; allowed: 0\.0001$"):
        verify_bundle(
            folder,
            images=lambda row: shop.picture(names[row]),
            network_factory=factory,
            rows=8,
            device=torch.device("cpu"),
        )


@pytest.mark.slow
@needs_onnx
def test_what_cannot_be_exported_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    encoder = Unexportable(image_size=8, resize="pad").eval()
    with pytest.raises(
        BundleError,
        match=r"Unexportable cannot be exported to ONNX: .+; export the bundle without it: --set export\.onnx=false$",
    ):
        export_onnx(encoder, tmp_path / "encoder.onnx")
    assert not list(tmp_path.iterdir())


class OfFixedNumber(PixelsEncoder):
    """Its code makes a constant of the number of images."""

    @override
    def features(self, images: Tensor) -> Tensor:
        return super().features(images) + torch.zeros(len(images), 1)


@pytest.mark.slow
@needs_onnx
def test_a_graph_for_one_number_of_images_is_refused(tmp_path: Path) -> None:
    encoder = OfFixedNumber(image_size=8, resize="pad").eval()
    expected = (
        "OfFixedNumber cannot be exported to ONNX: its code makes a constant of the number of images, "
        "as len(images) does (images.shape[0] does not); export the bundle without it: --set export.onnx=false"
    )
    with pytest.raises(BundleError, match=f"^{re.escape(expected)}$"):
        export_onnx(encoder, tmp_path / "encoder.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@needs_onnx
@pytest.mark.parametrize("space", ["hsv", "lab"])
def test_a_colour_histogram_takes_any_number_of_images(space: str, tmp_path: Path) -> None:
    encoder = build_encoder(parse_encoder({"kind": "histogram", "space": space, "bins": 4}, where="test"), load=True)
    export_onnx(encoder.eval(), tmp_path / "encoder.onnx")
    pixels = torch.from_numpy(golden_images(encoder.preprocessing.image_size))
    for count in (1, 4):
        images = encoder.preprocessing.normalise(pixels[:count])
        found = torch.from_numpy(OnnxEncoder(path=tmp_path / "encoder.onnx").embed(images.numpy()))
        torch.testing.assert_close(found, encoder.embed_pixels(pixels[:count]).clone(), atol=1e-4, rtol=0)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not onnx_available()
    with pytest.raises(BundleError) as caught:
        export_onnx(PixelsEncoder(image_size=8, resize="pad"), tmp_path / "encoder.onnx")
    assert str(caught.value) == "encoder.onnx: needs onnx, onnxscript, onnxruntime: pip install 'simtrain[export]'"


@needs_onnx
def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"not a model")
    with pytest.raises(BundleError, match=r"encoder\.onnx: onnxruntime cannot open it: "):
        OnnxEncoder(path=tmp_path / "encoder.onnx")


@pytest.mark.slow
@needs_onnx
@pytest.mark.parametrize(
    "settings",
    [
        {"flip_averaging": True, "whitening": {"power": 0.5}},
        {"pooling": "gem", "evaluation_image_size": 48, "embedding_size": 8},
    ],
)
def test_settings_of_an_encoder_s_embeddings_are_in_the_graph(tmp_path: Path, settings: dict[str, Any]) -> None:
    config = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32, **settings}
    torch.manual_seed(0)
    encoder = build_encoder(parse_encoder(config, where="test"), load=True).eval()
    if "whitening" in settings:
        train = torch.randn(300, 256, generator=torch.Generator().manual_seed(1)) * torch.logspace(0, -2, 256)
        encoder.whiten(fit_whitening(F.normalize(train + 0.3, dim=1), dimensions=None, shrinkage=0.1, power=0.5))
    export_onnx(encoder, tmp_path / "encoder.onnx")
    pixels = torch.from_numpy(golden_images(settings.get("evaluation_image_size", 32)))
    found = OnnxEncoder(path=tmp_path / "encoder.onnx").embed(encoder.preprocessing.normalise(pixels).numpy())
    torch.testing.assert_close(torch.from_numpy(found), encoder.embed_pixels(pixels).clone(), rtol=0, atol=1e-5)


def test_a_full_disk_is_not_blamed_on_the_network(
    make_encoder: Callable[..., Encoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(*_arguments: object, **_settings: object) -> None:
        raise RuntimeError("Failed to save the model") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch.onnx, "export", export)
    with pytest.raises(OSError, match="No space left on device") as caught:
        export_onnx(make_encoder(seed=0), tmp_path / "encoder.onnx")
    assert caught.value.filename == str(tmp_path / "encoder.onnx")
    assert list(tmp_path.iterdir()) == []
