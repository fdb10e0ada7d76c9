"""A training step of every objective as on a GPU: no tensor is on the wrong device, and where the host waits is known.

The numbers are those of one step in one process, forward and backward: how often the host waits for the GPU, because
it reads a number, a shape that depends on numbers, or rows that are looked up on the CPU, or because it copies.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from claimed_cuda import ClaimedGpu, Waits, claimed, counted_waits, on_claimed_gpu

from simtrain.builders.objective import build_module
from simtrain.config import parse_run_config
from simtrain.data.batch import Batch
from simtrain.launch import ddp_equivalence
from simtrain.launch.ddp_equivalence import CASES
from simtrain.launch.small_encoders import SmallAlignedEncoder, SmallEncoder
from simtrain.losses.references import within_batch
from simtrain.losses.triplets import MinerName, TripletLoss
from simtrain.modules.base import RetrievalModule

SAMPLES = 16
OURS = {"triplet, DistanceWeightedMiner": 2, "MultiSimilarity": 2}
"""Objective -> waits of our own lines, at most; of all others 1, which sees that the loss is a number."""

OF_LIBRARIES = {"triplet, DistanceWeightedMiner": 28, "SupCon": 7, "MultiSimilarity": 5, "ProxyAnchor": 3}
"""Objective -> waits within pytorch-metric-learning, at most."""


def on_gpu(objective: dict[str, Any]) -> RetrievalModule:
    texts = ddp_equivalence._reads_texts(objective)
    tree = {
        "catalog": "none",
        "encoder": {"kind": "clip", "train_text": True} if texts else {"kind": "resnet"},
        "objective": objective,
        "data": {"batch_size": SAMPLES},
    }
    config = parse_run_config(tree, where="test")
    torch.manual_seed(0)
    encoder = SmallAlignedEncoder() if texts else SmallEncoder()
    inputs = ddp_equivalence._training_inputs(SAMPLES, encoder)
    inputs = replace(inputs, levels=ddp_equivalence._levels(config, SAMPLES))
    module = build_module(config, encoder=encoder, inputs=inputs, validation=None).train()
    on_claimed_gpu(module)
    return module


def batch(objective: dict[str, Any], *, seed: int) -> Batch:
    views = 2 if objective["kind"] == "simclr" else 1
    noise = ddp_equivalence._share_of_noise(SAMPLES, views=views, seed=seed)
    return Batch(
        views=claimed(noise.views), labels=claimed(noise.labels), rows=claimed(noise.rows), rows_on_host=noise.rows
    )


def second_step(objective: dict[str, Any]) -> Waits:
    """The waits of a step after the first, in which networks and memories are filled."""
    module = on_gpu(objective)
    for number in range(2):
        with ClaimedGpu(), counted_waits() as waits:
            loss = module.training_step(batch(objective, seed=number), number)
            loss.backward()
    assert torch.isfinite(loss.held)
    return waits


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
@pytest.mark.parametrize("name", CASES)
def test_a_step_is_of_one_device_and_waits_no_oftener_than_known(name: str) -> None:
    waits = second_step(CASES[name])
    assert waits.ours.total() <= OURS.get(name, 1), waits.ours
    assert waits.theirs.total() - waits.theirs["index_put"] <= OF_LIBRARIES.get(name, 0), waits.theirs


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
@pytest.mark.parametrize("name", ["SimCLR", "triplet, cross-batch memory", "image-text, sigmoid"])
def test_the_one_wait_is_to_see_that_the_loss_is_a_number(name: str) -> None:
    waits = second_step(CASES[name])
    assert [place.split(":")[0] for place in waits.ours] == ["modules/base.py"]


@pytest.mark.parametrize("miner", ["semi_hard", "all"])
def test_a_gpu_sorts_more_of_a_row_and_gives_the_same(miner: MinerName) -> None:
    noise = torch.Generator().manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(12, 4, generator=noise), dim=1)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 4, 4])
    loss = TripletLoss(margin=0.3, distance="cosine", miner=miner)
    here = loss(within_batch(embeddings, labels, excluded=None))
    with ClaimedGpu():
        there = loss(within_batch(claimed(embeddings), claimed(labels), excluded=None))
    torch.testing.assert_close(there.total.held, here.total)
    assert int(there.mined.held) == int(here.mined)


def test_a_tensor_on_the_wrong_device_is_found() -> None:
    module = on_gpu(CASES["SimCLR"])
    wrong = replace(batch(CASES["SimCLR"], seed=0), views=torch.zeros(SAMPLES, 2, 24, 24, 3, dtype=torch.uint8))
    with ClaimedGpu(), pytest.raises(RuntimeError, match=r"a tensor of the CPU, .*, meets one of the GPU"):
        module.training_step(wrong, 0)


def test_what_makes_a_host_wait_is_counted() -> None:
    numbers = claimed(torch.tensor([1.0, 0.0, 2.0]))
    with ClaimedGpu(), counted_waits() as waits:
        assert bool(numbers[0] > 0)
        assert numbers[2].item() == 2.0
        assert numbers.nonzero().shape == (2, 1)
        assert numbers[numbers > 0].shape == (2,)
        numbers.cpu()
        torch.tensor([1.0], device=numbers.device)
        assert (numbers * 2).device.type == "cuda"
    assert waits.theirs == {
        "_local_scalar_dense": 2,
        "nonzero": 1,
        "index": 1,
        "copy to the host": 1,
        "copy from the host": 1,
    }
