"""What holds an encoder to its start, against the same computed outright."""

import pytest
import torch
from tiny_held_modules import gradients, joint, simclr_module
from tiny_training import TinyEncoder, noise_batch

from simtrain.modules.global_batch import AuxiliaryLosses
from simtrain.modules.start_regulariser import StartRegulariser


def test_an_encoder_at_its_start_is_not_moved_by_what_holds_it_there() -> None:
    encoder, batch = TinyEncoder(), noise_batch(samples=4, views=2)
    regulariser = StartRegulariser(encoder, distillation=3.0, weight_distance=100.0)
    held, free = (
        simclr_module(encoder, AuxiliaryLosses(regulariser=regulariser)),
        simclr_module(encoder, AuxiliaryLosses()),
    )
    found = [gradients(module, module.value(module.gather_batch(batch)).total) for module in (held, free)]
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("micro_batch_size", [None, 3])
def test_what_has_moved_is_held_by_images_and_by_weights(micro_batch_size: int | None) -> None:
    start, encoder, batch = TinyEncoder(seed=0), TinyEncoder(seed=1), noise_batch(samples=4, views=2)
    regulariser = StartRegulariser(start, distillation=3.0, weight_distance=100.0)
    module = simclr_module(encoder, AuxiliaryLosses(regulariser=regulariser), micro_batch_size=micro_batch_size)
    value = module.value(module.gather_batch(batch))
    drift = (1 - (joint(encoder, batch) * joint(start.eval(), batch)).sum(dim=1)).mean()
    sides = [torch.cat([parameter.flatten() for parameter in side.parameters()]) for side in (encoder, start)]
    distance = (sides[0] - sides[1]).square().mean()
    torch.testing.assert_close(value.parts["distillation"], drift)
    torch.testing.assert_close(value.parts["weight_distance"], distance)
    images = value.parts["nt_xent"]
    torch.testing.assert_close(value.total, images + 3 * drift + 100 * distance)


def test_the_start_is_in_no_checkpoint_and_does_not_learn() -> None:
    encoder = TinyEncoder()
    held = simclr_module(
        encoder, AuxiliaryLosses(regulariser=StartRegulariser(encoder, distillation=1.0, weight_distance=0.0))
    )
    assert held.state_dict().keys() == simclr_module(encoder, AuxiliaryLosses()).state_dict().keys()
    assert len(list(held.parameters())) == len(list(simclr_module(encoder, AuxiliaryLosses()).parameters()))


def test_weights_that_stay_are_at_no_distance() -> None:
    encoder = TinyEncoder()
    regulariser = StartRegulariser(TinyEncoder(seed=1), distillation=0.0, weight_distance=1.0)
    assert regulariser.distance(encoder, frozen=[name for name, _ in encoder.named_parameters()]).item() == 0


def test_a_new_layer_is_not_held_to_its_random_start() -> None:
    start, encoder = TinyEncoder(seed=0, embedding_size=4), TinyEncoder(seed=0, embedding_size=4)
    regulariser = StartRegulariser(start, distillation=0.0, weight_distance=1.0)
    encoder.reduction.weight.data.add_(1.0)
    assert regulariser.distance(encoder, frozen=[]).item() == 0
    encoder.network[0].weight.data.add_(1.0)
    encoder.requires_grad_(False)  # as in epochs of the head alone
    pretrained = sum(value.numel() for name, value in encoder.named_parameters() if not name.startswith("reduction"))
    expected = encoder.network[0].weight.numel() / pretrained
    assert regulariser.distance(encoder, frozen=[]).item() == pytest.approx(expected)
