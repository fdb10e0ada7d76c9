"""What tests let several processes do: spawned processes import it by name."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from simtrain.builders.objective import build_module
from simtrain.config import parse_run_config
from simtrain.console import Console, Step
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.shared_scoring import score_on_all_ranks
from simtrain.launch import ddp_equivalence
from simtrain.launch.small_encoders import SmallAlignedEncoder
from simtrain.losses.nt_xent import nt_xent_loss
from simtrain.training.rank_zero import on_rank_zero
from simtrain.training.ranks import (
    SINGLE_PROCESS,
    LostRankError,
    any_rank,
    broadcast_from_rank_zero,
    gather,
    gather_objects,
    gather_with_gradient,
    join,
    launched_ranks,
    leave,
    rank,
    rank_count,
    sum_over_ranks,
)


def joined(workflow_name: str, *arguments: Any, console: Console, timeout: int = 60) -> Any:
    """Call a function of this module among the processes."""
    join(launched_ranks() or SINGLE_PROCESS, device=torch.device("cpu"), timeout=timeout)
    try:
        return globals()[workflow_name](*arguments)
    finally:
        leave()


def impatient(workflow_name: str, *arguments: Any, console: Console) -> Any:
    """The same among processes that give each other up after two seconds."""
    return joined(workflow_name, *arguments, console=console, timeout=2)


def conversation() -> dict[str, Any]:
    """What each helper gives on this process."""
    me = rank()
    rows = torch.tensor([[10.0 * me], [10.0 * me + 1]])
    uneven = torch.zeros(3, 2)
    uneven[me :: rank_count()] = me + 1.0
    return {
        "gather": gather(rows).tolist(),
        "sum_over_ranks": sum_over_ranks(uneven).tolist(),
        "any_no": any_rank(False),
        "any_last": any_rank(me == rank_count() - 1),
        "broadcast_from_rank_zero": broadcast_from_rank_zero(f"process {me}"),
        "gather_objects": gather_objects(me),
        "on_rank_zero": on_rank_zero(lambda: f"done by {me}"),
    }


def patient_work(seconds: float) -> list[object]:
    """What every process has after two pieces of work of the first one that take so long each."""

    def work() -> str:
        time.sleep(seconds)
        return "done"

    return gather_objects([on_rank_zero(work) for _ in range(2)])


def shared_scores() -> list[dict[str, Any]]:
    """Scores of a task on every process, and of the whole task on one."""
    task, embeddings = scored_task()
    found = [score_on_all_ranks(task, embeddings), task.score(embeddings)]
    plain = [{**scores.values, "rows": scores.query_rows, "lone": scores.lone_queries} for scores in found]
    return [scores for of_process in gather_objects(plain) for scores in of_process]


def scored_task() -> tuple[RetrievalTask, torch.Tensor]:
    """40 images of which some are alone, and their embeddings, the same on every process."""
    generator = torch.Generator().manual_seed(2)
    embeddings = nn.functional.normalize(torch.randn(40, 6, generator=generator), dim=1)
    groups = np.where(np.arange(40) < 30, np.arange(40) % 9, 100 + np.arange(40))
    everyone = np.arange(40)
    task = RetrievalTask(
        rows=everyone,
        queries=everyone,
        gallery=everyone,
        ids=[f"{row:02}" for row in everyone],
        groups=groups,
        clusters=groups,
        copied_queries=0,
    )
    return task, embeddings


def own_row_gradients() -> list[list[float]]:
    """Gradients of a loss over all rows, in each process of its own rows."""
    mine = torch.tensor([[1.0 + rank(), 2.0]], requires_grad=True)
    everyone = gather_with_gradient(mine)
    (everyone.prod() * torch.arange(1, everyone.numel() + 1).view_as(everyone)).sum().backward()
    assert mine.grad is not None
    return gather_objects(mine.grad[0].tolist())


def trained_linear(rows_per_rank: int, with_gradient: bool = True) -> list[list[float]]:
    """Ten steps of NT-Xent between a linear map and fixed targets; this process's rows of the eight."""
    gather_rows = gather_with_gradient if with_gradient else gather_without_gradient
    network = nn.Linear(5, 2, bias=False)
    network.weight.data = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5], [0.6, 0.7, 0.8, 0.9, 1.0]])
    inputs, targets = torch.arange(80.0).reshape(8, 2, 5), torch.arange(32.0).reshape(8, 2, 2)
    mine = slice(rank() * rows_per_rank, (rank() + 1) * rows_per_rank)
    model: nn.Module = DistributedDataParallel(network) if rank_count() > 1 else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(10):
        first, second = model(inputs[mine]).flatten(1), targets[mine].flatten(1)
        pairs = torch.cat([gather_rows(first), gather_rows(second)])
        optimizer.zero_grad()
        nt_xent_loss(pairs, temperature=0.5, decoupled=False, excluded=None).backward()
        optimizer.step()
    return network.weight.tolist()


def gather_without_gradient(rows: torch.Tensor) -> torch.Tensor:
    """The usual mistake: other rows come as they are, and the own ones keep the gradient of a mean over processes."""
    everyone = gather(rows.detach())
    return torch.cat([everyone[: rank() * len(rows)], rows, everyone[(rank() + 1) * len(rows) :]])


def lost_in_a_gather() -> str:
    """Once they have met, the first process waits for a row that the second never sends."""
    gather(torch.zeros(1))
    if rank() == 1:
        raise LostRankError("the second one leaves")
    return str(gather(torch.zeros(1)))


def shown(*, console: Console) -> int:
    """Everything that a console shows, once, by each process; its rank."""
    joined_as = launched_ranks()
    assert joined_as is not None
    own = f"of process {joined_as.rank}"
    console.line(f"line {own}")
    console.aside(f"aside {own}")
    list(console.bar("abc", 3, f"counting {own}"))
    console.step(Step(epoch=1, epochs=1, batch=joined_as.rank + 1, batches=2, images_per_second=1.0))
    return joined_as.rank


def steps_without_texts(loss: str) -> list[float]:
    """Losses of two data-parallel steps in which no image has a text, while the text side and the scale learn."""
    objective = {"kind": "image_text", "loss": loss, "learn_scale": True}
    tree = {"catalog": "none", "encoder": {"kind": "clip", "train_text": True}, "objective": objective}
    encoder = SmallAlignedEncoder()
    inputs = ddp_equivalence._training_inputs(8, encoder)
    assert inputs.texts is not None
    silent = replace(inputs.texts, ids=torch.full_like(inputs.texts.ids, -1))
    config = parse_run_config({**tree, "data": {"batch_size": 8}}, where="test")
    module = build_module(config, encoder=encoder, inputs=replace(inputs, texts=silent), validation=None)
    step = DistributedDataParallel(ddp_equivalence._Step(module.train()))
    losses = []
    for number in range(2):
        value = step(ddp_equivalence._share_of_noise(8, views=1, seed=number))
        value.backward()
        losses.append(value.item())
    return losses
