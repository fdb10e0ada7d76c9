"""A program of torch.export against the encoder."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.golden import golden_images
from simtrain.serving.torch_export import PROGRAM_FILE, TORCH_EXPORT, export_program
from simtrain.serving.verification import verify_bundle


class Unexportable(PixelsEncoder):
    """Its result depends on a value, which no graph can hold."""

    @override
    def features(self, images: Tensor) -> Tensor:
        return super().features(images) if float(images.sum()) > 0 else images.flatten(1) + 1


@pytest.mark.slow
def test_torch_alone_opens_it_for_any_batch_and_says_nothing(
    content: BundleContent,
    shop: Any,
    factory: Callable[..., Encoder],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    bundle = Bundle.open(write_bundle(content, tmp_path / "bundle", formats=[TORCH_EXPORT]))
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert PROGRAM_FILE in bundle.manifest["files"]
    network = torch.export.load(bundle.folder / PROGRAM_FILE).module()
    pixels = torch.from_numpy(golden_images(8))
    for count in (1, 2, 4):
        found = network(content.encoder.preprocessing.normalise(pixels[:count]))
        torch.testing.assert_close(found, content.encoder.embed_pixels(pixels[:count]).clone())
    names = sorted(shop.items["id"])
    verify_bundle(
        bundle.folder,
        images=lambda row: shop.picture(names[row]),
        network_factory=factory,
        rows=20,
        device=torch.device("cpu"),
    )


@pytest.mark.slow
def test_no_pickle_and_no_path_of_this_machine_is_in_it(content: BundleContent, tmp_path: Path) -> None:
    export_program(content.encoder, tmp_path / PROGRAM_FILE)
    with zipfile.ZipFile(tmp_path / PROGRAM_FILE) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    graph = next(text for name, text in entries.items() if name.endswith("models/model.json"))
    assert json.loads(graph)
    for name, value in entries.items():
        assert not value.startswith((b"PK", b"\x80")), name
        assert b".py" not in value, name
        assert str(Path.cwd()).encode() not in value, name


@pytest.mark.slow
def test_a_program_of_another_encoder_is_found_out(
    content: BundleContent,
    other_content: BundleContent,
    shop: Any,
    factory: Callable[..., Encoder],
    tmp_path: Path,
) -> None:
    other = replace(TORCH_EXPORT, write=lambda encoder, path: export_program(other_content.encoder, path))
    folder = write_bundle(content, tmp_path / "bundle", formats=[other])
    names = sorted(shop.items["id"])
    with pytest.raises(BundleError, match=r"^encoder\.pt2: torch\.export's embeddings differ by .+; allowed: 0\.0001$"):
        verify_bundle(
            folder,
            images=lambda row: shop.picture(names[row]),
            network_factory=factory,
            rows=8,
            device=torch.device("cpu"),
        )


@pytest.mark.slow
def test_what_cannot_be_exported_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    encoder = Unexportable(image_size=8, resize="pad").eval()
    with pytest.raises(
        BundleError,
        match=r"Unexportable cannot be exported by torch\.export: .+; export the bundle without it: "
        r"--set export\.torch_export=false$",
    ):
        export_program(encoder, tmp_path / PROGRAM_FILE)
    assert not list(tmp_path.iterdir())
