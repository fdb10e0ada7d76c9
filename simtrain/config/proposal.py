"""Proposal of a run's configuration for a catalogue and a machine: a recipe, what differs from it, and the reasons."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from simtrain.config.proposal_facts import CatalogFacts, MachineFacts
from simtrain.config.recipes import recipe_path
from simtrain.config.run import RunConfig
from simtrain.config.yaml_text import read_yaml
from simtrain.errors import ConfigError
from simtrain.phrases import counted

Route = Literal["products", "labels", "captions", "pictures"]
"""What a catalogue knows of its images, by which an encoder is trained."""

ROUTES: tuple[Route, ...] = get_args(Route)

_BATCH = 96
_MOST_PER_GROUP = 8
_STEPS = {"cpu": 100, "gpu": 600}
_EPOCHS = (3, 30)
_SIDES = {"cpu": (160, 224), "gpu": (224, 288)}  # of training and of evaluation; 288 is the image store's
_SMALLEST_SIDE = 96
_STEP_OF_SIDES = 32
_ENLARGED = (1.25, 1.75)  # small pictures are found better enlarged, at the price of time


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A configuration with its reasons.

    Attributes:
        route: What the encoder is trained by.
        why: Why this route, in a sentence with numbers.
        others: Other routes that the catalogue has the values for.
        tree: The configuration, without a name of the run.
        reasons: Key, such as `data.batch_size` -> why it has this value.
        steps: Number of training steps, about.
    """

    route: Route
    why: str
    others: tuple[Route, ...]
    tree: dict[str, Any]
    reasons: dict[str, str]
    steps: int


def propose(catalog: str, facts: CatalogFacts, machine: MachineFacts, *, route: Route | None = None) -> Proposal:
    """The configuration that suits a catalogue and a machine.

    Args:
        catalog: Folder of the catalogue, as a configuration names it.
        facts: Facts of the catalogue.
        machine: Facts of the machine that trains.
        route: What to train by; None: the most that the catalogue knows.

    Raises:
        ConfigError: for a route that the catalogue lacks the values for, or too few training images.
    """
    if facts.train_images < 4:
        raise ConfigError(f"{catalog}: {counted(facts.train_images, 'training image')}; training needs 4 or more")
    possible = _possible(facts)
    chosen = next(iter(possible)) if route is None else route
    if chosen not in possible:
        raise ConfigError(f"--route {chosen}: {catalog} has {_lacking(chosen, facts)}; possible: {', '.join(possible)}")
    draft = _Draft(catalog=catalog, facts=facts, machine=machine, tree={}, reasons={})
    _ROUTES[chosen](draft)
    steps = draft.finish()
    others = tuple(route for route in possible if route != chosen)
    return Proposal(
        route=chosen, why=possible[chosen], others=others, tree=draft.tree, reasons=draft.reasons, steps=steps
    )


def _possible(facts: CatalogFacts) -> dict[Route, str]:
    """The routes that a catalogue has the values for, the one that knows most first, each with the numbers."""
    found: dict[Route, str] = {}
    if facts.products >= 2:
        found["products"] = (
            f"{counted(facts.products, 'product')} in train {'have' if facts.products > 1 else 'has'} two pictures or "
            f"more ({facts.images_per_product} as a rule), so pictures of one product are drawn together"
        )
    if facts.labels >= 2 and facts.train_images >= 2 * facts.labels:
        no_products = "no product has two pictures, but " if facts.lone_products else "no product numbers, but "
        found["labels"] = f"{no_products if not found else ''}{counted(facts.labels, 'label')}, which draw together"
    if 2 * facts.captions >= facts.train_images:
        found["captions"] = (
            f"{facts.captions} of {facts.train_images} training pictures have a caption, which each has to find"
        )
    nothing = "neither products with two pictures, labels nor captions: " if not found else ""
    found["pictures"] = f"{nothing}{counted(facts.train_images, 'training picture')}, which learn without any label"
    return found


def _lacking(route: Route, facts: CatalogFacts) -> str:
    match route:
        case "products":
            return f"{counted(facts.products, 'product')} with two training pictures or more"
        case "labels":
            return f"{counted(facts.labels, 'label')} for {counted(facts.train_images, 'training picture')}"
        case _:
            return f"captions for {facts.captions} of {counted(facts.train_images, 'training picture')}"


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A configuration in the making."""

    catalog: str
    facts: CatalogFacts
    machine: MachineFacts
    tree: dict[str, Any]
    reasons: dict[str, str]

    @property
    def place(self) -> str:
        return "gpu" if self.machine.gpus else "cpu"

    def begin(self, recipe: str, *, about: str) -> None:
        """Take a recipe's sections."""
        self.tree.update({**read_yaml(recipe_path(recipe)), "catalog": self.catalog})
        self.reasons["objective.kind"] = about
        if "augmentation" in self.tree:
            self.reasons["augmentation.preset"] = "all of the product stays in the view, and colours stay what they are"

    def set(self, key: str, value: Any, reason: str) -> None:
        """A value with its reason."""
        node = self.tree
        *sections, name = key.split(".")
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value
        self.reasons[key] = reason

    def set_network(self, key: str = "encoder") -> None:
        """The packaged network, or torchvision's, and the sizes that suit images and machine."""
        model = f"{key}.model"
        if self.machine.packaged_network:
            self.reasons[model] = "ImageNet weights that come as a Python package: nothing is downloaded"
        else:
            own = dict(read_yaml(recipe_path("triplet_resnet50"))["encoder"])
            self.set(key, own, "")
            self.reasons.pop(key)
            self.reasons[model] = (
                "torchvision's, downloaded once; a smaller network without any download: pip install 'simtrain[demo]'"
            )
        training, evaluation = self.sizes()
        self.set(f"{key}.image_size", training, f"side of training views in pixels, for {self.machine.words}")
        section = self.tree["encoder"]
        for name in key.split(".")[1:]:
            section = section[name]
        section.pop("evaluation_image_size", None)
        if evaluation > training:
            larger = "pictures are embedded larger than they are trained: they are found better"
            self.set(f"{key}.evaluation_image_size", evaluation, larger)

    def sizes(self) -> tuple[int, int]:
        """Side of training views and of embedded images, in pixels: not much larger than the pictures themselves."""
        training, evaluation = (
            min(wanted, max(_SMALLEST_SIDE, math.ceil(self.facts.side * factor / _STEP_OF_SIDES) * _STEP_OF_SIDES))
            for wanted, factor in zip(_SIDES[self.place], _ENLARGED, strict=True)
        )
        return training, evaluation

    def set_groups(self, column: str, *, groups: int, per_group: int) -> None:
        """Batches of whole groups that differ from batch to batch."""
        wanted = min(_BATCH // 2, max(2, groups // 2))
        images = max(2, min(_MOST_PER_GROUP, per_group, _BATCH // wanted))
        told = f"{wanted} of {groups} {column}s in a batch, {images} pictures of each"
        if images > 2:
            self.set("objective.images_per_group", images, f"few {column}s, so more pictures of each")
        if images * wanted != _BATCH:
            self.set("data.batch_size", images * wanted, told)
        else:
            self.set("data.batch_size", _BATCH, f"what the recipe was measured with: {told}")

    def set_batch(self) -> None:
        """Batches of single images."""
        size = min(_BATCH, max(2, self.facts.train_images // 2))
        why = "what the recipe was measured with" if size == _BATCH else "half of the training pictures"
        self.set("data.batch_size", max(4, size), why)

    def finish(self) -> int:
        """Duration, arithmetic and the usual order of sections; returns the number of steps."""
        images = self.facts.product_images if self.tree["objective"].get("positive") else self.facts.train_images
        per_epoch = max(1, images // int(self.tree["data"]["batch_size"]))
        low, high = _EPOCHS
        epochs = min(high, max(low, math.ceil(_STEPS[self.place] / per_epoch)))
        steps = epochs * per_epoch
        self.set("trainer.epochs", epochs, f"about {counted(steps, 'step')}; val chooses the epoch")
        here = "half precision where the GPU has it" if self.machine.gpus else "float32, or bf16 where that is faster"
        self.set("trainer.precision", "auto", f"{here}; the loss is always in float32")
        ordered = {name: self.tree[name] for name in RunConfig.model_fields if name in self.tree}
        self.tree.clear()
        self.tree.update(ordered)
        return steps


def _products(draft: _Draft) -> None:
    facts = draft.facts
    draft.begin("triplet_distill_efficientnet", about="an anchor nearer to its product than to any other")
    draft.set("relevance", "product", "right answers are other pictures of the same product")
    draft.set_network()
    draft.reasons["objective.positive"] = f"pictures of one product are positives: {facts.products} products have two"
    draft.reasons["objective.distill"] = "similarities to other products follow the untouched network: the kind stays"
    if facts.lone_products:
        told = f"{counted(facts.lone_products, 'product')} with one training picture: no pair to learn from"
        draft.set("objective.single_image_groups", "drop", told)
    if facts.labels >= 2:
        draft.reasons["objective.levels"] = f"{facts.labels} labels: other products of one label draw together, weakly"
        draft.reasons["evaluation.monitor"] = "products and kind count alike in the choice of the epoch"
    else:
        draft.tree["objective"].pop("levels")
        draft.set("evaluation.monitor", "map_at_r", "no labels, so products alone choose the epoch")
    draft.set_groups("product", groups=facts.products, per_group=facts.images_per_product)


def _labels(draft: _Draft) -> None:
    draft.begin(
        "labels_distill_efficientnet",
        about="the network's own similarities at larger sizes; triplets on labels would make one lump of each",
    )
    draft.reasons["relevance"] = f"right answers are pictures of the same label, of {draft.facts.labels}"
    draft.set_network()
    draft.reasons["objective.label_weight"] = "as strong as the similarities, which keep the things of a label apart"
    draft.set_batch()


def _captions(draft: _Draft) -> None:
    packaged = draft.machine.packaged_network and draft.machine.packaged_texts
    about = "each picture has to pick out its caption among all of the batch, and each caption its picture"
    if packaged:
        draft.begin("imagetext_two_towers", about=about)
        draft.reasons["encoder.kind"] = "network and text model come as Python packages: nothing is downloaded"
        draft.set_network("encoder.image")
    else:
        draft.begin("digikala_imagetext_clip", about=about)
        draft.reasons["encoder.model"] = "reads texts and pictures; downloaded once"
        draft.set("objective.templates", ["{caption}"], "the captions as they are")
        draft.set("objective.positives", ["text", "duplicate_group"], "equal texts are right answers too")
        draft.tree["evaluation"].pop("label_templates")
    draft.set("relevance", *_usual_relevance(draft.facts))
    draft.set(
        "evaluation.monitor", "text_to_image_map_at_r", "captions of val that find their pictures choose the epoch"
    )
    draft.set_batch()


def _pictures(draft: _Draft) -> None:
    draft.begin("distill_efficientnet", about="the network learns the similarities that it finds at larger sizes")
    draft.set("relevance", *_usual_relevance(draft.facts))
    draft.set_network()
    if draft.facts.lone_products:
        one = "each product has one picture, so the nearest pictures are other products"
        draft.set("objective.teacher_neighbours", 1, one)
    draft.set_batch()


def _usual_relevance(facts: CatalogFacts) -> tuple[str, str]:
    """The most that is known of right answers, and why it is taken."""
    if facts.products >= 2:
        return "product", "right answers are other pictures of the same product"
    if facts.labels >= 2 and facts.train_images >= 2 * facts.labels:
        return "label", f"right answers are pictures of the same label, of {facts.labels}"
    return "picture", "nothing says what is alike: a picture that was turned, cut and darkened has to find itself"


_ROUTES: dict[Route, Callable[[_Draft], None]] = {
    "products": _products,
    "labels": _labels,
    "captions": _captions,
    "pictures": _pictures,
}
