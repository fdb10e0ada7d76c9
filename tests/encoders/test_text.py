"""Which encoders read texts, are cut off, can be trained by texts, or save a folder."""

from pathlib import Path

from tiny_training import TinyAlignedEncoder, TinyEncoder

from simtrain.builders.encoder import build_encoder
from simtrain.config import parse_encoder
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import AlignedEncoder, FolderEncoder, LimitedTextEncoder, TextEncoder, TextFolderEncoder

PROTOCOLS = (TextEncoder, LimitedTextEncoder, AlignedEncoder, FolderEncoder, TextFolderEncoder)


def met(encoder: Encoder) -> set[type]:
    return {protocol for protocol in PROTOCOLS if isinstance(encoder, protocol)}


def test_an_encoder_of_images_alone_meets_none() -> None:
    assert met(TinyEncoder()) == set()
    assert met(build_encoder(parse_encoder({"kind": "pixels"}, where="test"), load=True)) == set()


def test_texts_without_a_library_s_folder() -> None:
    assert met(TinyAlignedEncoder()) == {TextEncoder, AlignedEncoder}


def test_a_clip_meets_all(clip_model: Path) -> None:
    config = parse_encoder({"kind": "clip", "model": str(clip_model)}, where="test")
    assert met(build_encoder(config, load=True)) == set(PROTOCOLS)
