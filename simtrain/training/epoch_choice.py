"""Choice of the epoch whose weights a run keeps: of those that validation cannot tell apart, the last."""

from dataclasses import dataclass
from typing import Any

import torch

from simtrain.training.product_sums import ProductSums, standard_error


@dataclass(frozen=True, kw_only=True)
class EpochFigure:
    """The monitored figure of an epoch.

    Attributes:
        epoch: The epoch, from 1; 0: the untouched encoder.
        value: The figure; None: there is no validation.
    """

    epoch: int
    value: float | None


class EpochChoice:
    """Chooses among epochs as they come by the figure that is monitored.

    Only what is higher than the untouched encoder's figure counts. Of these epochs the last is chosen that lies within
    `tolerance` standard errors of the highest, in their paired difference over the products of validation. The highest
    of many figures is partly luck, which validation of a few dozen products cannot tell from training; later epochs
    have seen more and learn at a lower rate. It is the one-standard-error rule of Breiman et al. 1984, "Classification
    and Regression Trees", section 3.4.3, with longer training in the place of the smaller tree.

    Args:
        first_value: The untouched encoder's figure; None: the first epoch counts in any case.
        tolerance: Number of standard errors, >= 0; 0: the highest is chosen, the first of equals.

    Attributes:
        chosen: The chosen epoch.
        highest: The epoch with the highest figure.
    """

    def __init__(self, *, first_value: float | None, tolerance: float) -> None:
        self._first_value = first_value
        self._tolerance = tolerance
        self.chosen = self.highest = EpochFigure(epoch=0, value=first_value)
        self._products: ProductSums | None = None  # of the highest

    def takes(self, epoch: int, value: float, products: ProductSums | None) -> bool:
        """Whether an epoch is the chosen one from now on.

        Args:
            epoch: The epoch, from 1.
            value: Its figure.
            products: The figure by product; None: not known, and only a higher one is taken.
        """
        figure, highest = EpochFigure(epoch=epoch, value=value), self.highest.value
        if highest is None or value > highest:
            self.chosen = self.highest = figure
            self._products = products
            return True
        if not self._is_as_good(value, highest, products):
            return False
        self.chosen = figure
        return True

    def takes_the_last(self, epoch: int) -> None:
        """The epoch is the chosen one, as any last one is where there is no figure."""
        self.chosen = self.highest = EpochFigure(epoch=epoch, value=None)

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on with, as numbers and tensors."""
        products = self._products
        return {
            "best_value": self.chosen.value,
            "best_epoch": self.chosen.epoch,
            "highest_value": self.highest.value,
            "highest_epoch": self.highest.epoch,
            "products": []
            if products is None
            else [torch.from_numpy(products.sums), torch.from_numpy(products.counts)],
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave; that of older versions knows the chosen epoch alone, which was the highest."""
        self.chosen = EpochFigure(epoch=state["best_epoch"], value=state["best_value"])
        self.highest = EpochFigure(
            epoch=state.get("highest_epoch", self.chosen.epoch), value=state.get("highest_value", self.chosen.value)
        )
        products = [tensor.numpy() for tensor in state.get("products", [])]
        self._products = ProductSums(sums=products[0], counts=products[1]) if products else None

    def _is_as_good(self, value: float, highest: float, products: ProductSums | None) -> bool:
        if not self._tolerance or products is None or self._products is None:
            return False
        if self._first_value is not None and not value > self._first_value:
            return False
        return highest - value <= self._tolerance * standard_error(self._products, products)
