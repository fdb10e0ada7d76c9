"""Which encoder of a bundle is opened: torch's, in memory, or its ONNX file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from torch import nn

from simtrain.builders import bundle_encoder
from simtrain.builders.bundle_encoder import build_bundle_encoder
from simtrain.errors import BundleError
from simtrain.own_code import CodeNotAllowedError, code_allowed, is_code_allowed
from simtrain.serving.bundle import Bundle
from simtrain.serving.torch_query_encoder import TorchQueryEncoder

OWN = {"kind": "python", "target": "my_parts:MyEncoder"}


class Fake:
    """A bundle that tells which way its encoder is made."""

    def __init__(self, config: dict[str, Any], *, onnx: bool) -> None:
        self.folder, self.encoder_config = Path("bundle"), config
        self.onnx_path = Path("bundle/encoder.onnx") if onnx else None
        self.preprocessing, self.manifest = None, {"encoder": {"embedding_size": 4}}
        self.checked: list[object] = []

    def load_encoder(self, factory: Any) -> Any:
        section = SimpleNamespace(**factory.keywords)
        if section.like is None and not is_code_allowed():
            raise CodeNotAllowedError(f"{section.file} names code", argument="encoder.target")
        return ("torch", section.like)

    def content(self, name: str) -> bytes:
        return name.encode()

    def check_golden(self, encoder: TorchQueryEncoder) -> None:
        self.checked.append(encoder.encoder)


@pytest.fixture(autouse=True)
def onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_encoder, "OnnxBundleEncoder", lambda **settings: ("onnx", settings["embedding_size"]))
    monkeypatch.setattr(bundle_encoder, "can_run_onnx", lambda: True)


def built(config: dict[str, Any], *, onnx: bool, **settings: Any) -> tuple[Any, Fake]:
    fake = Fake(config, onnx=onnx)
    return build_bundle_encoder(cast(Bundle, fake), **settings), fake


def test_code_that_is_not_allowed_is_opened_by_onnx_and_checked():
    encoder, fake = built(OWN, onnx=True)
    assert encoder == ("onnx", 4)
    assert fake.checked == [encoder]


def test_without_an_onnx_file_it_is_refused():
    with pytest.raises(CodeNotAllowedError, match=r"^encoder\.target: bundle/manifest\.json names code$"):
        built(OWN, onnx=False)


def test_without_onnxruntime_it_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bundle_encoder, "can_run_onnx", lambda: False)
    with pytest.raises(CodeNotAllowedError):
        built(OWN, onnx=True)


def test_code_that_is_allowed_is_opened_by_torch():
    with code_allowed(True):
        assert built(OWN, onnx=True)[0] == ("torch", None)


def test_an_object_that_is_gone_is_opened_by_onnx_even_where_code_is_allowed():
    with code_allowed(True):
        assert built({**OWN, "instance": True}, onnx=True)[0] == ("onnx", 4)


def test_a_network_in_memory_is_opened_by_torch():
    network = nn.Identity()
    (way, like), _ = built({**OWN, "instance": True}, onnx=True, network=network)
    assert way == "torch"
    assert like.handed_over is network


def test_a_network_for_a_bundle_that_needs_none_is_refused():
    with pytest.raises(BundleError, match=r"^bundle/manifest\.json: its encoder is no code of your own; leave the net"):
        built({"kind": "pixels"}, onnx=True, network=nn.Identity())
