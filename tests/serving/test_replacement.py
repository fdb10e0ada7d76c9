"""A bundle that is replaced while it is opened: every answer is wholly of one bundle."""

import io
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_files import Factory

from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.replacement import open_while_replaced
from simtrain.serving.searcher import Searcher
from simtrain.serving.torch_query_encoder import TorchQueryEncoder

SEARCHES = 40
Answer = tuple[tuple[str, str, float], ...]


@contextmanager
def swapped(swap: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Swap two bundles before every tenth file that is opened, by chance; gives the number of swaps in a list."""
    opened, chance, count = io.open, random.Random(7), [0]

    def swapping(*arguments: Any, **settings: Any) -> Any:
        if chance.random() < 0.1:
            count[0] += 1
            swap()
        return opened(*arguments, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(io, "open", swapping)
        yield count


def answer(folder: Path, factory: Factory) -> Answer:
    """What `search` gives for one picture: bundle and encoder are opened, and then it is embedded and looked up."""

    def opening() -> Searcher:
        bundle = Bundle.open(folder)
        encoder = TorchQueryEncoder(encoder=bundle.load_encoder(factory), device=torch.device("cpu"))
        return Searcher(bundle=bundle, encoder=encoder)

    picture = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    found = open_while_replaced(folder, opening).by_image(picture, k=3)
    return tuple((hit.id, str(hit.label), hit.similarity) for hit in found)


@pytest.fixture
def pair(content: BundleContent, other_content: BundleContent, tmp_path: Path) -> tuple[Path, Path]:
    """Two bundles of other encoders, whose items have the same ids and other labels."""
    items = other_content.items.assign(label=[f"other {name}" for name in other_content.items["label"]])
    one = write_bundle(content, tmp_path / "one", formats=())
    return one, write_bundle(replace(other_content, items=items), tmp_path / "two", formats=())


@pytest.mark.parametrize("by", ["rename", "link"])
def test_every_answer_is_wholly_of_one_bundle(
    by: str, pair: tuple[Path, Path], factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simtrain.serving.replacement._PAUSE", 0)
    alone = {answer(folder, factory) for folder in pair}
    assert len(alone) == 2
    one, two = pair
    place, aside, link = one.with_name("place"), one.with_name(".place.1.old"), one.with_name("link")
    if by == "rename":
        one.rename(place)
    else:
        place.symlink_to(one)

    def rename() -> None:
        place.rename(aside)
        two.rename(place)
        aside.rename(two)

    def relink() -> None:
        target = two if place.readlink() == one else one
        link.symlink_to(target)
        link.replace(place)

    with swapped(rename if by == "rename" else relink, monkeypatch) as count:
        answers = Counter(answer(place, factory) for _ in range(SEARCHES))
    assert set(answers) == alone
    assert answers.total() == SEARCHES
    assert count[0] > SEARCHES


def test_what_was_opened_refuses_files_of_the_bundle_that_took_its_place(
    pair: tuple[Path, Path], factory: Factory
) -> None:
    one, two = pair
    bundle = Bundle.open(one)
    one.rename(one.with_name("before"))
    two.rename(one)
    with pytest.raises(BundleError, match=f"^{re.escape(str(one))}/encoder/model.safetensors: altered or of another"):
        bundle.load_encoder(factory)


def test_it_starts_over_with_the_bundle_that_took_the_place(pair: tuple[Path, Path], factory: Factory) -> None:
    one, two = pair
    expected, tried = answer(two, factory), []

    def opening() -> Bundle:
        bundle = Bundle.open(one)
        tried.append(bundle.fingerprint)
        if len(tried) == 1:
            one.rename(one.with_name("before"))
            two.rename(one)
        bundle.load_encoder(factory)
        return bundle

    opened = open_while_replaced(one, opening)
    assert [*tried[1:]] == [opened.fingerprint] != tried[:1]
    assert answer(one, factory) == expected


def test_a_bundle_that_stays_is_tried_once(pair: tuple[Path, Path]) -> None:
    tried = []

    def opening() -> None:
        tried.append(1)
        raise BundleError("broken")

    with pytest.raises(BundleError, match=r"^broken$"):
        open_while_replaced(pair[0], opening)
    assert tried == [1]


def test_one_that_is_replaced_again_and_again_is_told(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtrain.serving.replacement._PAUSE", 0)

    def opening() -> None:
        (pair[0] / "manifest.json").touch()
        raise BundleError("broken")

    with pytest.raises(BundleError, match=f"^{re.escape(str(pair[0]))}: is replaced again and again; try again when"):
        open_while_replaced(pair[0], opening)
