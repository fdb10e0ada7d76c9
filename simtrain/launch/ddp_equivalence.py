"""Equivalence check of data-parallel training: several processes give the loss, gradients and metrics of one."""

# Shapes: B samples of the whole batch, V views, S = IMAGE_SIZE.

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from typing_extensions import override

from simtrain.builders.objective import build_module
from simtrain.builders.training_inputs import TrainingInputs
from simtrain.config import RunConfig, parse_run_config
from simtrain.console import SILENT, Console
from simtrain.data.batch import Batch
from simtrain.data.embedding import EmbeddingSettings, embed_images, inference_device
from simtrain.data.texts import CatalogTexts
from simtrain.encoders.base import Encoder
from simtrain.evaluation.metrics import score_queries
from simtrain.evaluation.retrieval_set import RetrievalSet
from simtrain.launch.processes import process_group, run_on_each
from simtrain.launch.small_encoders import IMAGE_SIZE, NoiseImages, SmallAlignedEncoder, SmallEncoder
from simtrain.losses.row_facts import RowFacts
from simtrain.modules.base import RetrievalModule
from simtrain.modules.coarser_level import CoarserLevel
from simtrain.training.ranks import SINGLE_PROCESS, launched_ranks

LOSS_BOUND = 1e-6
"""Largest difference of losses, relative to the loss where that is above 1."""

GRADIENT_BOUND = 1e-5
"""Largest difference of gradients over the gradient's length."""

_CLASSES, _STEPS = 8, 2
_PRODUCTS: dict[str, Any] = {"positive": "product"}
CASES: Mapping[str, dict[str, Any]] = {
    "SimCLR": {"kind": "simclr"},
    "SimCLR, decoupled, with labels": {"kind": "simclr", "decoupled": True, "label_weight": 0.5},
    **{
        f"triplet, {miner}": {"kind": "triplet", "miner": miner}
        for miner in ("batch_hard", "semi_hard", "hard_negatives", "all")
    },
    "triplet, cross-batch memory": {"kind": "triplet", "memory": {"size": 24}},
    "triplet, DistanceWeightedMiner": {
        "kind": "metric_learning",
        "loss": {"name": "TripletMarginLoss"},
        "miner": {"name": "DistanceWeightedMiner"},
    },
    "distillation": {"kind": "distill"},
    "triplet with distillation": {"kind": "triplet", "distill": {"weight": 0.5}},
    "triplet with a coarser level": {"kind": "triplet", "levels": [{"column": "label"}]},
    "SupCon": {"kind": "metric_learning", "loss": {"name": "SupConLoss"}},
    "MultiSimilarity": {
        "kind": "metric_learning",
        "loss": {"name": "MultiSimilarityLoss"},
        "miner": {"name": "MultiSimilarityMiner"},
    },
    "ProxyAnchor": {"kind": "metric_learning", "loss": {"name": "ProxyAnchorLoss"}},
    "image-text, texts that repeat": {"kind": "image_text", "learn_scale": True},
    "image-text, sigmoid": {"kind": "image_text", "loss": "sigmoid", "learn_scale": True},
    "SimCLR with texts, held to its start": {
        "kind": "simclr",
        "texts": {"weight": 0.5},
        "keep": {"distillation": 1.0, "weight_distance": 10.0},
    },
}
"""Objectives that are compared, as a run's `objective`."""


@dataclass(frozen=True, kw_only=True)
class ProcessEquivalence:
    """One objective in one process and in several.

    Attributes:
        name: Name of the objective.
        loss: Difference of the losses, relative where the loss is above 1.
        gradient: Length of the difference of the gradients over the gradient's length.
        metrics: Whether every retrieval metric is the same number.
    """

    name: str
    loss: float
    gradient: float
    metrics: bool

    @property
    def equal(self) -> bool:
        """Whether all are within their bounds."""
        return self.loss <= LOSS_BOUND and self.gradient <= GRADIENT_BOUND and self.metrics


@dataclass(frozen=True, kw_only=True)
class ObjectiveMeasurement:
    """Loss, gradients and metrics of an objective on a fixed batch.

    Attributes:
        loss: Loss of the second of two steps; cross-batch memories then hold the first.
        gradient: Gradients of all parameters, concatenated.
        metrics: Retrieval metrics of the encoder.
    """

    loss: float
    gradient: NDArray[np.float32]
    metrics: dict[str, float]


def compare_processes(count: int, *, accelerator: str, timeout: int) -> list[ProcessEquivalence]:
    """Compare `count` processes with one.

    Args:
        count: Number of processes, a GPU each where there are GPUs; 2 or more.
        accelerator: `auto`, `cpu` or `gpu`.
        timeout: Seconds after which a process that does not answer is given up.

    Raises:
        SimtrainError: if the processes cannot be made to work together.
    """
    alone = measure(8 * count, accelerator)
    together: dict[str, ObjectiveMeasurement] = run_on_each(
        count, measure_among, 8 * count, accelerator, timeout, console=SILENT
    )
    return equivalences(alone, together)


def equivalences(
    alone: Mapping[str, ObjectiveMeasurement], together: Mapping[str, ObjectiveMeasurement]
) -> list[ProcessEquivalence]:
    """Differences of every objective's two measurements."""
    return [process_equivalence(name, alone[name], together[name]) for name in CASES]


def process_equivalence(name: str, alone: ObjectiveMeasurement, together: ObjectiveMeasurement) -> ProcessEquivalence:
    """Differences of two measurements."""
    difference = np.linalg.norm(together.gradient.astype(np.float64) - alone.gradient)
    return ProcessEquivalence(
        name=name,
        loss=abs(together.loss - alone.loss) / max(1.0, abs(alone.loss)),
        gradient=float(difference / np.linalg.norm(alone.gradient.astype(np.float64))),
        metrics=together.metrics == alone.metrics,
    )


def measure_among(samples: int, accelerator: str, timeout: int, *, console: Console) -> dict[str, ObjectiveMeasurement]:
    """Measurement by one process of those that `run_on_each` launched, which passes a console that stays unused."""
    with process_group(launched_ranks() or SINGLE_PROCESS, accelerator=accelerator, timeout=timeout):
        return measure(samples, accelerator)


def measure(samples: int, accelerator: str) -> dict[str, ObjectiveMeasurement]:
    """Measure each objective on a batch of noise, of which every process takes its share."""
    device = inference_device(accelerator)
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # made at run time
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"  # TensorFloat-32 depends on the shape of the batch
    try:
        return {name: _measured(objective, samples, device) for name, objective in CASES.items()}
    finally:
        convolutions.fp32_precision = before


def _measured(objective: dict[str, Any], samples: int, device: torch.device) -> ObjectiveMeasurement:
    config = parse_run_config(
        {
            "catalog": "none",
            "encoder": {"kind": "clip", "train_text": True} if _reads_texts(objective) else {"kind": "resnet"},
            "objective": objective,
            "data": {"batch_size": samples},
            "trainer": {"head_only_epochs": 0},
        },
        where="doctor",
    )
    torch.manual_seed(0)
    encoder = SmallAlignedEncoder() if _reads_texts(objective) else SmallEncoder()
    inputs = replace(_training_inputs(samples, encoder), levels=_levels(config, samples))
    module = build_module(config, encoder=encoder, inputs=inputs, validation=None).to(device).train()
    with torch.no_grad():  # away from its start, where what holds it there has no gradient
        for parameter in encoder.parameters():
            parameter.add_(0.01 * torch.ones_like(parameter))
    views = 2 if objective["kind"] == "simclr" else 1
    step: nn.Module = _Step(module)
    if torch.distributed.is_initialized():
        own = [torch.cuda.current_device()] if device.type == "cuda" else None
        step = DistributedDataParallel(step, device_ids=own)
    for number in range(_STEPS):
        module.zero_grad()
        loss: Tensor = step(_share_of_noise(samples, views=views, seed=number).to(device))
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad.flatten().cpu() for parameter in module.parameters() if parameter.grad is not None]
    return ObjectiveMeasurement(
        loss=float(loss.detach()), gradient=torch.cat(gradients).numpy(), metrics=_metrics(module.encoder, device)
    )


def _reads_texts(objective: dict[str, Any]) -> bool:
    return objective["kind"] == "image_text" or "texts" in objective


def _training_inputs(samples: int, encoder: Encoder) -> TrainingInputs:
    """Of as many images as there are samples: each has one of two texts out of five, the last ones none."""
    ids = torch.stack([torch.arange(samples) % 5, torch.arange(samples) % 3], dim=1)
    ids[-2:] = -1
    return TrainingInputs(
        groups=_CLASSES * samples,
        duplicate_groups=torch.full((samples,), -1),
        reference=None,
        teacher=torch.randn(samples, 6, generator=torch.Generator().manual_seed(0)),
        start=encoder,
        texts=CatalogTexts(texts=[f"text {place}" for place in range(5)], ids=ids, criteria=ids),
    )


def _levels(config: RunConfig, samples: int) -> list[CoarserLevel]:
    """Every two pairs of positives are of one kind."""
    numbers = torch.arange(samples) // 4
    return [
        CoarserLevel(
            column=level.column,
            numbers=RowFacts(numbers, unknown=-1),
            weight=level.weight,
            temperature=level.temperature,
        )
        for level in config.objective.levels
    ]


def _share_of_noise(samples: int, *, views: int, seed: int) -> Batch:
    """This process's rows of a batch that all would make alike; pairs of neighbours are positives."""
    generator = torch.Generator().manual_seed(seed)
    shape = (samples, views, IMAGE_SIZE, IMAGE_SIZE, 3)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    ranks = launched_ranks() if torch.distributed.is_initialized() else SINGLE_PROCESS
    assert ranks is not None
    size = samples // ranks.size
    mine = slice(ranks.rank * size, (ranks.rank + 1) * size)
    rows = torch.arange(samples)[:, None].expand(samples, views)
    return Batch(views=images[mine], labels=(torch.arange(samples) // 2)[mine], rows=rows[mine])


def _metrics(encoder: Encoder, device: torch.device) -> dict[str, float]:
    """Leave-one-out retrieval among noise, embedded in shares."""
    images, ids = NoiseImages(), [f"{row:03d}" for row in range(101)]
    vectors = embed_images(
        encoder,
        images,
        range(len(ids)),
        settings=EmbeddingSettings(batch_size=8, workers=0, device=device),
        console=SILENT,
    )
    groups = np.arange(len(ids)) // 3
    return score_queries(
        RetrievalSet(
            query_embeddings=vectors,
            gallery_embeddings=vectors,
            query_ids=ids,
            gallery_ids=ids,
            query_groups=groups,
            gallery_groups=groups,
        )
    ).means()


class _Step(nn.Module):
    """A training step for data-parallel training, which calls `forward`."""

    def __init__(self, module: RetrievalModule) -> None:
        super().__init__()
        self.module = module

    @override
    def forward(self, batch: Batch) -> Tensor:
        return self.module.value(self.module.gather_batch(batch)).total
