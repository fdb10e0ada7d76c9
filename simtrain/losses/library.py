"""Losses and miners of pytorch-metric-learning by name."""

# Shapes: N embeddings, D features, R that they are compared with.

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.utils import loss_and_miner_utils
from torch import Tensor, nn

from simtrain.errors import ConfigError, first_line, nearest
from simtrain.losses.loss_value import LossValue
from simtrain.losses.references import AnchorsAndReferences

Tuples = tuple[Tensor, ...]
"""Anchors, positives and negatives of triplets; or the anchors and positives of pairs, and the anchors and negatives of
others."""

_OF_TRIPLETS = (
    losses.DynamicSoftMarginLoss,
    losses.HistogramLoss,
    losses.MarginLoss,
    losses.TripletMarginLoss,
)
_OF_PAIRS = (
    losses.CircleLoss,
    losses.ContrastiveLoss,
    losses.GeneralizedLiftedStructureLoss,
    losses.IntraPairVarianceLoss,
    losses.LiftedStructureLoss,
    losses.MultiSimilarityLoss,
    losses.NTXentLoss,
    losses.SupConLoss,
    losses.ThresholdConsistentMarginLoss,
    losses.TupletMarginLoss,
)
# Of those of the library's own memory, NCALoss compares each embedding with itself.
_WITH_MEMORY = frozenset(losses.CrossBatchMemory.supported_losses()) - {"NCALoss"}


class LibraryLoss(nn.Module):
    """A loss of the library on the tuples that one of its miners picks, or on all.

    Excluded pairs are taken out of the tuples. Losses that look at no tuples (proxies, classification, ranking) see
    every image all the same.

    Args:
        loss: Loss module, called with embeddings, labels and the tuples.
        miner: Miner module, called with embeddings and labels; None leaves the choice to the loss.
    """

    def __init__(self, *, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        if isinstance(loss, losses.DynamicSoftMarginLoss):
            _keep_histogram(loss)
        self.loss = loss
        self.miner = miner

    def forward(self, compared: AnchorsAndReferences) -> LossValue:
        """The loss, 0 with a graph where nothing was mined."""
        tuples = self._tuples(compared)
        mined = sum(map(len, tuples[:1] if len(tuples) == 3 else tuples[::2])) if tuples is not None else None
        if mined == 0:
            own = sum((parameter.sum() * 0 for parameter in self.loss.parameters()), torch.zeros(()))
            zero = compared.embeddings.sum() * 0 + own.to(compared.embeddings.device)
            return LossValue(total=zero, active_share=zero.detach(), mined=0)
        with _triplet_costs(self.loss) as costs:
            total = self.loss(compared.embeddings, compared.labels, tuples, *_references(compared))
        _detach_state(self)
        if not costs:
            return LossValue(total=total, mined=mined)
        return LossValue(total=total, active_share=(costs[0] > 0).float().mean(), mined=len(costs[0]))

    def _tuples(self, compared: AnchorsAndReferences) -> Tuples | None:
        found: Tuples | None = None
        with torch.no_grad():
            if self.miner is not None:
                found = self.miner(compared.embeddings.detach(), compared.labels, *_references(compared))
            elif compared.excluded is not None or compared.has_memory:
                found = self._all_tuples(compared)
            return _without_excluded(found, compared) if found is not None else None

    def _all_tuples(self, compared: AnchorsAndReferences) -> Tuples | None:
        """What the loss would take if it were left to it; None where it takes none."""
        labels, reference_labels = compared.labels, compared.reference_labels
        if isinstance(self.loss, _OF_TRIPLETS):
            triplets: Tuples = loss_and_miner_utils.convert_to_triplets(
                None, labels, reference_labels, t_per_anchor=getattr(self.loss, "triplets_per_anchor", "all")
            )
            return triplets
        if isinstance(self.loss, _OF_PAIRS) or compared.has_memory:
            pairs: Tuples = loss_and_miner_utils.get_all_pairs_indices(labels, reference_labels)
            return pairs
        return None


def check_memory(name: str) -> None:
    """Refuse a loss that cannot compare with embeddings of earlier batches.

    Raises:
        ConfigError: with the losses that can.
    """
    if name not in _WITH_MEMORY:
        hint = f"set it to null, or take one of {', '.join(sorted(_WITH_MEMORY))}"
        raise ConfigError(f"{name} cannot compare with earlier batches; {hint}", argument="memory")


def library_names() -> tuple[list[str], list[str]]:
    """Names of the library's losses and of its miners, in the order of the alphabet."""
    return sorted(_known(losses)), sorted(_known(miners))


def library_loss(name: str, parameters: Mapping[str, Any], *, sizes: Mapping[str, int]) -> nn.Module:
    """A loss by the name of its class.

    Args:
        name: Name of a class in `pytorch_metric_learning.losses`.
        parameters: Arguments of its constructor.
        sizes: Further arguments, passed where the constructor takes them.

    Raises:
        ConfigError: for a name or a parameter that the library does not have, with the ones it has.
    """
    return _made(losses, name, parameters, sizes=sizes, argument="loss")


def library_miner(name: str, parameters: Mapping[str, Any]) -> nn.Module:
    """A miner by the name of its class in `pytorch_metric_learning.miners`.

    Raises:
        ConfigError: for a name or a parameter that the library does not have, with the ones it has.
    """
    return _made(miners, name, parameters, sizes={}, argument="miner")


def _references(compared: AnchorsAndReferences) -> tuple[Tensor, ...]:
    # Without a memory the library must be left to see that both sides are the same, to leave out self-comparisons.
    return (compared.references, compared.reference_labels) if compared.has_memory else ()


def _without_excluded(tuples: Tuples, compared: AnchorsAndReferences) -> Tuples:
    """The tuples less those whose negative is excluded, and less positives that are the anchor itself."""
    anchors, positives, *others = tuples
    itself = anchors == positives
    if len(others) == 1:
        mask = ~itself
        if compared.excluded is not None:
            mask &= ~compared.excluded.pairs(anchors, others[0])
        kept = mask.nonzero()[:, 0]  # a host waits for a GPU once to know it, and for a mask each time
        return anchors[kept], positives[kept], others[0][kept]
    second_anchors, negatives = others
    if compared.excluded is not None:
        kept = (~compared.excluded.pairs(second_anchors, negatives)).nonzero()[:, 0]
        second_anchors, negatives = second_anchors[kept], negatives[kept]
    kept = (~itself).nonzero()[:, 0]
    return anchors[kept], positives[kept], second_anchors, negatives


def _keep_histogram(loss: nn.Module) -> None:
    """Make what the loss has learned of past batches a buffer, so that checkpoints carry it."""
    histogram = vars(loss).pop("hist_")
    loss.register_buffer("hist_", histogram)


def _detach_state(module: nn.Module) -> None:
    """Cut what a loss keeps for its next step off from the step that is over, whose graph is gone by then."""
    for part in module.modules():
        for held in (vars(part), part._buffers):
            for name, value in list(held.items()):
                if isinstance(value, Tensor) and value.grad_fn is not None:
                    held[name] = value.detach()


@contextmanager
def _triplet_costs(loss: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what each triplet costs while the loss is computed; nothing for a loss that is not made of triplets."""
    found: list[Tensor] = []

    def collect(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        parts = arguments[0].values()
        found.extend(part["losses"].detach() for part in parts if part["reduction_type"] == "triplet")

    reducer = getattr(loss, "reducer", None)
    if not isinstance(reducer, nn.Module):
        yield found
        return
    hook = reducer.register_forward_pre_hook(collect)
    try:
        yield found
    finally:
        hook.remove()


def _known(module: Any) -> dict[str, Any]:
    """Classes of the library's module by name, without those that others are derived from."""
    parts = {
        key: value for key, value in vars(module).items() if inspect.isclass(value) and issubclass(value, nn.Module)
    }
    return {key: value for key, value in parts.items() if not key.startswith("Base")}


def _made(
    module: Any, name: str, parameters: Mapping[str, Any], *, sizes: Mapping[str, int], argument: str
) -> nn.Module:
    known = _known(module)
    if name not in known:
        near = nearest(name, known) or f"; allowed: {', '.join(sorted(known))}"
        raise ConfigError(f"pytorch-metric-learning has no '{name}'{near}", argument=f"{argument}.name")
    wanted = _constructor_parameters(known[name])
    for key in parameters:
        if key not in wanted:
            near = nearest(key, wanted) or f"; allowed: {', '.join(sorted(wanted))}"
            raise ConfigError(f"{name} has no such parameter{near}", argument=f"{argument}.parameters.{key}")
    filled = {key: value for key, value in sizes.items() if key in wanted}
    try:
        made: nn.Module = known[name](**{**filled, **parameters})
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"{name} refuses its parameters: {first_line(error)}", argument=argument) from error
    return made


def _constructor_parameters(cls: type) -> set[str]:
    """Names that the constructor takes, its bases' included where it passes **kwargs on."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base in (nn.Module, object):
            break
        constructor = vars(base).get("__init__")
        if constructor is None:
            continue
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        names |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return names
