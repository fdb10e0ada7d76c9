"""The image-text loss and the regulariser within a training step, against the same computed outright."""

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from rank_workflows import joined
from tiny_held_modules import IDS, expected_loss, gradients, image_text_module, joint, simclr_module, words_of
from tiny_training import TinyAlignedEncoder, noise_batch

from simtrain.console import SILENT
from simtrain.launch.processes import run_on_each
from simtrain.modules.global_batch import AuxiliaryLosses
from simtrain.modules.image_text_pairs import PairedEmbeddings, largest_scale


def test_texts_that_stay_are_not_embedded_again() -> None:
    encoder, batch = TinyAlignedEncoder(trains_text=False), noise_batch(samples=8, views=1)
    module = image_text_module(encoder, words_of(encoder))
    encoder.tokenized.clear()
    module.gather_batch(batch)
    assert encoder.tokenized == []


def test_each_different_text_of_a_batch_is_read_once() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=8, views=2)
    image_text_module(encoder, words_of(encoder)).gather_batch(batch)
    assert encoder.tokenized == [["text 0", "text 1", "text 2", "text 3", "text 5"]]


def test_parts_of_a_batch_give_the_gradients_of_the_whole() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=8, views=2)
    whole = image_text_module(encoder, words_of(encoder))
    parts = image_text_module(encoder, words_of(encoder, micro_batch_size=2), micro_batch_size=3)
    found = [gradients(module, module.value(module.gather_batch(batch)).total) for module in (whole, parts)]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_a_sigmoid_judges_each_pair() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=6, views=1)
    encoder.logit_bias = torch.nn.Parameter(torch.tensor([-1.5]))
    module = image_text_module(encoder, words_of(encoder, loss="sigmoid"))
    ids = IDS[:6, 0]
    logits = encoder.logit_scale.exp() * joint(encoder, batch) @ F.normalize(encoder.words(ids), dim=1).T - 1.5
    targets = (ids[:, None] == ids).float()
    expected = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / 6
    torch.testing.assert_close(module.value(module.gather_batch(batch)).total, expected)


def test_texts_beside_images_are_added_with_their_weight() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=8, views=2)
    alone = simclr_module(encoder, AuxiliaryLosses())
    mixed = simclr_module(encoder, AuxiliaryLosses(image_text=words_of(encoder), image_text_weight=0.25))
    value = mixed.value(mixed.gather_batch(batch))
    images, texts = alone.value(alone.gather_batch(batch)).total, expected_loss(encoder, batch)
    torch.testing.assert_close(value.total, images + 0.25 * texts)
    torch.testing.assert_close(value.parts["image_text"], texts)


@pytest.mark.parametrize(("start", "largest"), [(2.0, math.log(100)), (5.0, 5.0)])
def test_a_scale_is_held_below_100_or_its_start(start: float, largest: float) -> None:
    encoder = TinyAlignedEncoder()
    encoder.logit_scale.data.fill_(start)
    assert largest_scale(encoder) == pytest.approx(largest)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_a_batch_without_texts_gives_gradients_of_zero_to_all_that_learns(loss: Literal["softmax", "sigmoid"]) -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=6, views=1)
    encoder.logit_scale.requires_grad_(True)
    encoder.logit_bias = torch.nn.Parameter(torch.tensor([-1.5]))
    module = image_text_module(encoder, words_of(encoder, loss=loss))
    silent = PairedEmbeddings(
        images=encoder(torch.zeros(0, 3, 16, 16)),
        texts=encoder.words(torch.zeros(0, dtype=torch.int64)),
        positives=torch.zeros(0, 1, dtype=torch.int64),
    )
    value = module.value(replace(module.gather_batch(batch), pairs=silent)).total
    assert value.item() == 0
    value.backward()
    for parameter in (encoder.logit_scale, encoder.logit_bias, encoder.words.weight):
        assert parameter.grad is not None
        assert not parameter.grad.any()


@pytest.mark.slow
@pytest.mark.usefixtures("preloaded_processes")
@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_two_processes_go_on_after_a_batch_without_texts(loss: str) -> None:
    assert run_on_each(2, joined, "steps_without_texts", loss, console=SILENT) == [0.0, 0.0]
