"""The trainer of a run, and what it says of its failures."""

from collections.abc import Callable

import torch

from simtrain.config import RunConfig
from simtrain.runs.trainer import _out_of_memory

MakeConfig = Callable[..., RunConfig]


def test_too_little_memory_is_answered_with_what_to_set(make_config: MakeConfig) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore")
    assert _out_of_memory(error, make_config(data={"batch_size": 64})) == (
        "data.batch_size: CUDA out of memory. Tried to allocate 2.00 GiB; set data.micro_batch_size=32 (the same "
        "gradients, a third slower), or trainer.activation_checkpointing=true"
    )
