"""Guard that ends a run whose embeddings have collapsed, or that has nothing left to learn."""

# Shapes: N embeddings of the whole batch, D features.

from dataclasses import asdict, dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from typing_extensions import override

from simtrain.console import Console
from simtrain.errors import SimtrainError
from simtrain.training.ranks import gather_objects
from simtrain.training.setting_names import SettingNames
from simtrain.training.step_record import StepRecord
from simtrain.training.tracking.embedding_statistics import effective_rank, representative_rows
from simtrain.training.tracking.watched_module import last_step

_GRACE_STEPS = 50
_CHECKS_IN_A_ROW = 5
ENOUGH = 50  # batch-hard triplets have stayed at the margin for 300 steps and learned all the same
_ROWS = 512  # of a batch, behind an effective rank


class CollapsedError(SimtrainError):
    """Collapsed embeddings, or a loss without gradient; the state is valid and can be saved."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Spread of a batch's embeddings: how far they are from one point.

    Attributes:
        mean_similarity: Mean cosine similarity of all pairs, -1 to 1.
        effective_rank: Number of dimensions in use, from 1.
        groups: Number of different groups (products, labels, images) in the batch.
    """

    mean_similarity: float
    effective_rank: float
    groups: int

    @classmethod
    def of(cls, record: StepRecord) -> "Spread":
        """Spread of one step's embeddings."""
        vectors, count = record.embeddings, len(record.embeddings)
        total = float(vectors.sum(dim=0, dtype=torch.float64).square().sum())
        own = float(vectors.double().square().sum())
        chosen = representative_rows(record.groups.cpu().numpy(), most=_ROWS)
        return cls(
            mean_similarity=(total - own) / (count * (count - 1)),
            effective_rank=effective_rank(vectors[torch.from_numpy(chosen).to(vectors.device)]),
            groups=len(torch.unique(record.groups)),
        )


@dataclass(frozen=True, kw_only=True)
class CollapseSign:
    """A sign of collapse.

    Attributes:
        reason: The sign in words, for messages.
        weight: Points towards `ENOUGH` at each check: fewer for a sign that healthy runs show too, for hundreds of
            steps.
    """

    reason: str
    weight: int


def collapse_sign(now: Spread, first: Spread, *, at_margin: bool) -> CollapseSign | None:
    """Sign that a batch's embeddings have collapsed; None where there is none.

    Measured against the run's first step, because some encoders see every picture of a shop at a similarity of 0.9.

    Args:
        now: Spread of the batch.
        first: Spread of the run's first batch.
        at_margin: Whether each triplet costs the margin, as it does when all similarities are equal.
    """
    left = (1 - now.mean_similarity) / max(1 - first.mean_similarity, 1e-12)
    alike = (
        f"the embeddings have become alike (mean similarity {now.mean_similarity:.4f}, "
        f"{first.mean_similarity:.4f} in the first step)"
    )
    if now.mean_similarity > 0.99 and left < 0.005:
        return CollapseSign(reason=alike, weight=ENOUGH // _CHECKS_IN_A_ROW)
    if at_margin and left < 0.05:
        return CollapseSign(reason=f"{alike}, and the loss stands at the margin", weight=1)
    # C kinds of images that are separated perfectly have a rank of C - 1.
    if now.effective_rank < min(2.0, first.effective_rank / 2) and now.groups >= 4:
        rank = f"effective rank {now.effective_rank:.2f}, {first.effective_rank:.1f} in the first step"
        return CollapseSign(reason=f"the embeddings lie on a line ({rank})", weight=1)
    return None


class CollapseGuard(pl.Callback):
    """Ends a run with `CollapsedError` when its embeddings look collapsed in many checks in a row.

    A run whose triplets all cost nothing is warned once. If that lasts, it ends: well where positives and negatives are
    apart, as there is nothing left to learn, and with an error where the miner passes over what there is.

    Args:
        every_steps: Steps between two checks; the first 50 steps are spared.
        margin: Margin of a triplet loss; None for other losses.
        names: Names of the settings that messages propose to change, as the user writes them.
        console: Shows the warning, on rank 0.
    """

    def __init__(self, *, every_steps: int, margin: float | None, names: SettingNames, console: Console) -> None:
        self._every_steps = every_steps
        self._margin = margin
        self._names = names
        self._go_on = f"{names.stop_on_collapse}: false switches this check off"
        self._console = console
        self._first: Spread | None = None
        self._suspicion = self._idle_checks = self._idle_since = 0
        self._warned = False

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "first": asdict(self._first) if self._first is not None else None,
            "suspicion": self._suspicion,
            "idle_checks": self._idle_checks,
            "idle_since": self._idle_since,
            "warned": self._warned,
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        first = state_dict["first"]
        self._first = Spread(**first) if first is not None else None
        self._suspicion, self._warned = state_dict["suspicion"], state_dict["warned"]
        self._idle_checks, self._idle_since = state_dict["idle_checks"], state_dict["idle_since"]

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        record, step = last_step(pl_module), trainer.global_step
        if record is None or (self._first is not None and step % self._every_steps):
            return
        if self._first is None:
            self._first = Spread.of(record)
        elif step > _GRACE_STEPS:
            self._check_spread(trainer, record, self._first)
            self._check_idleness(trainer, record)

    def _check_spread(self, trainer: pl.Trainer, record: StepRecord, first: Spread) -> None:
        at_margin = self._margin is not None and _stands_at(self._margin, record)
        found = collapse_sign(Spread.of(record), first, at_margin=at_margin)
        # Every process has the same embeddings, though not always to the last bit: they end together or not at all.
        sign = gather_objects(found)[0]
        self._suspicion = self._suspicion + sign.weight if sign is not None else 0
        if sign is not None and self._suspicion >= ENOUGH:
            where = f"in step {trainer.global_step} of epoch {trainer.current_epoch + 1}"
            raise CollapsedError(
                f"training collapsed {where}: {sign.reason}\nset {_way_out(record, self._names)}; {self._go_on}"
            )

    def _check_idleness(self, trainer: pl.Trainer, record: StepRecord) -> None:
        found_none = record.mined is not None and int(record.mined) == 0
        idle = found_none or (record.active_share is not None and float(record.active_share) == 0)
        if not gather_objects(idle)[0]:
            self._idle_checks = 0
            return
        self._idle_checks += 1
        if self._idle_checks == 1:
            self._idle_since = trainer.global_step
        if self._idle_checks < _CHECKS_IN_A_ROW:
            return
        learned = gather_objects(not found_none or _are_apart(record))[0]
        margin, miner = self._names.margin, self._names.miner
        finding = (
            f"the loss of every triplet is 0: nothing is left to learn with this {margin} and {miner}"
            if learned
            else f"the miner finds no triplet, although negatives are nearer than positives: set {miner}: batch_hard"
        )
        if not self._warned:
            self._warned = True
            if trainer.is_global_zero:
                more = "; a larger margin or a harder miner finds more to learn" if learned else ""
                self._console.line(
                    f"warning: for {_CHECKS_IN_A_ROW} checks up to step {trainer.global_step}, {finding}{more}"
                )
        whole_epoch = trainer.global_step - self._idle_since >= trainer.num_training_batches
        if whole_epoch and self._idle_checks >= 2 * _CHECKS_IN_A_ROW:
            self._end_idle_run(trainer, finding, learned=learned)

    def _end_idle_run(self, trainer: pl.Trainer, finding: str, *, learned: bool) -> None:
        where = f"in step {trainer.global_step} of epoch {trainer.current_epoch + 1}"
        if not learned:
            raise CollapsedError(f"training stands still {where}: {finding}; {self._go_on}")
        if trainer.is_global_zero and not trainer.should_stop:
            self._console.line(f"training ends {where}: since step {self._idle_since} {finding}; {self._go_on}")
        trainer.should_stop = True


def _stands_at(margin: float, record: StepRecord) -> bool:
    """Whether each triplet costs about the margin: the positive is no nearer and no farther than the negative."""
    active = record.active_share is not None and float(record.active_share) > 0.99
    return active and abs(float(record.loss) - margin) < 0.02 * margin


def _are_apart(record: StepRecord) -> bool:
    """Whether nearly every embedding has its farthest positive nearer than its nearest negative."""
    rows = torch.from_numpy(representative_rows(record.groups.cpu().numpy(), most=_ROWS)).to(record.groups.device)
    vectors, groups = record.embeddings[rows], record.groups[rows]
    similarities, alike = vectors @ vectors.T, groups[:, None] == groups
    farthest = similarities.masked_fill(~alike, 2).amin(dim=1)
    nearest = similarities.masked_fill(alike, -2).amax(dim=1)
    return bool((farthest > nearest).float().mean() > 0.95)


def _way_out(record: StepRecord, names: SettingNames) -> str:
    slower = f"a smaller {names.learning_rate}"
    if record.mined is not None:
        return f"{slower}, or a milder miner ({names.miner}: semi_hard)"
    if record.temperature is not None:
        return f"{slower}, or a lower {names.temperature}"
    return slower
