"""A catalogue, a run, a bundle and a weights file of a tiny network, and mutations of each file of theirs."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import timm
import torch
import yaml
from mutations import mutate_tree, mutated_bytes, mutated_json
from safetensors.torch import save_file
from small_commands import SMALL_CATALOG, write_config

from simtrain.files import sha256_of_file
from simtrain.serving.manifest import write_manifest

Run = Callable[..., tuple[int, str, str]]
_PIXELS = {"encoder": {"kind": "pixels", "image_size": 8}, "objective": {"kind": "simclr"}}
_MODEL = "test_efficientnet"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A file that is mutated, and a command that reads it.

    Attributes:
        file: Path below the working folder.
        arguments: Of the command line.
        mutate: Content and generator -> other content.
    """

    file: str
    arguments: tuple[str, ...]
    mutate: Callable[[bytes, random.Random], bytes]


def make_artifacts(run: Run) -> None:
    """Fill the working folder by the commands themselves."""
    assert run("prepare", "synthetic:16", "--out", "catalog", *SMALL_CATALOG)[0] == 0
    write_config(Path("shop.yaml"), evaluation={"bootstrap_draws": 100})
    write_config(Path("pixels.yaml"), **_PIXELS)
    assert run("fit", "shop.yaml", "--set", "trainer.max_steps=1")[0] == 0
    assert run("export", "shop", "--out", "bundle", "--set", "export.thresholds=null")[0] in (0, 2)
    if not Path("bundle").is_dir():
        assert run("export", "shop", "--out", "bundle")[0] == 0
    network = timm.create_model(_MODEL, pretrained=False, num_classes=0)
    torch.save(network.state_dict(), "foreign.pth")
    save_file(network.state_dict(), "foreign.safetensors")
    for suffix in ("pth", "safetensors"):
        encoder = {"kind": "timm", "model": _MODEL, "weights": f"foreign.{suffix}", "image_size": 32}
        write_config(Path(f"{suffix}.yaml"), encoder=encoder)
    pictures = sorted(Path("catalog/source").rglob("*.jpg"))[:6]
    rows = [f"{path},p{place // 2},1.5" for place, path in enumerate(pictures)]
    Path("table.csv").write_text("\n".join(["path,product,price", *rows]), encoding="utf-8")
    frame = pd.read_csv("table.csv")
    frame.to_csv("table.tsv", sep="\t", index=False)
    frame.to_json("table.jsonl", orient="records", lines=True)
    frame.to_parquet("table.parquet", index=False)
    frame.to_excel("table.xlsx", index=False)
    assert run("fit", "shop.yaml", "--set", "run=going", "--set", "trainer.max_steps=1")[0] == 0
    record = Path("checkpoints/going/run.json")
    record.write_text(record.read_text(encoding="utf-8").replace('"finished",', '"interrupted",', 1), encoding="utf-8")


def targets() -> list[Target]:
    """Every file of theirs."""
    query = str(sorted(Path("catalog/source").rglob("*.jpg"))[0])
    judged = ("evaluate", "shop", "--split", "val", "--json", "found.json")
    pixels = ("evaluate", "pixels.yaml", "--split", "val", "--json", "found.json")
    search = ("search", "bundle", "--image", query, "-k", "2", "--json")
    by_name = ("evaluate", "safetensors.yaml", *judged[2:])
    return [
        Target(file="pixels.yaml", arguments=("config", "pixels.yaml"), mutate=mutated_bytes),
        Target(file="shop.yaml", arguments=("config", "shop.yaml"), mutate=_yaml),
        Target(file="catalog/catalog.parquet", arguments=pixels, mutate=mutated_bytes),
        Target(file="catalog/images.parquet", arguments=pixels, mutate=mutated_bytes),
        Target(file="checkpoints/shop/run.json", arguments=judged, mutate=_json),
        Target(file="checkpoints/shop/config.yaml", arguments=judged, mutate=_yaml),
        Target(file="checkpoints/shop/best.ckpt", arguments=judged, mutate=mutated_bytes),
        Target(file="bundle/manifest.json", arguments=search, mutate=_json),
        Target(file="bundle/items.parquet", arguments=search, mutate=mutated_bytes),
        Target(file="bundle/index.faiss", arguments=search, mutate=mutated_bytes),
        Target(file="bundle/encoder/golden.safetensors", arguments=search, mutate=mutated_bytes),
        Target(file="foreign.pth", arguments=("evaluate", "pth.yaml", *judged[2:]), mutate=mutated_bytes),
        Target(file="foreign.safetensors", arguments=by_name, mutate=mutated_bytes),
        Target(file="checkpoints/going/last.ckpt", arguments=("fit", "--resume", "going"), mutate=mutated_bytes),
        *(
            Target(
                file=f"table.{kind}",
                arguments=("prepare", f"table.{kind}", "--out", "from_table"),
                mutate=mutated_bytes,
            )
            for kind in ("csv", "tsv", "jsonl", "parquet", "xlsx")
        ),
    ]


def try_mutation(target: Target, seed: int, run: Run) -> tuple[int, str]:
    """Mutate the file, run the command, and put the file back; exit status, and everything that was printed."""
    path, chance = Path(target.file), random.Random(f"{target.file} {seed}")
    manifest, going = Path("bundle/manifest.json"), Path("checkpoints/going")
    whole, signed = path.read_bytes(), manifest.read_bytes()
    run_files = {file: file.read_bytes() for file in going.rglob("*") if file.is_file()}
    path.write_bytes(target.mutate(whole, chance))
    if target.file.startswith("bundle/") and chance.random() < 0.7:
        _sign_again(Path("bundle"))
    try:
        status, shown, aside = run(*target.arguments)
    finally:
        path.write_bytes(whole)
        manifest.write_bytes(signed)
        for file, content in run_files.items() if path.is_relative_to(going) else ():  # as before it went on
            file.write_bytes(content)
    return status, shown + aside


def _sign_again(folder: Path) -> None:
    """Make hashes and checksum right, as whoever made the file on purpose would."""
    try:
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if isinstance(content.get("files"), dict):
            content["files"] = {name: sha256_of_file(folder / name) for name in content["files"]}
        write_manifest(folder, content)
    except (OSError, ValueError, AttributeError, TypeError):
        pass  # mutated beyond that


def _json(content: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return mutated_bytes(content, chance)
    return mutated_json(content.decode(), chance).encode()


def _yaml(content: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.4:
        return mutated_bytes(content, chance)
    tree = yaml.safe_load(content)
    mutate_tree(tree, chance)
    return yaml.safe_dump(tree, allow_unicode=True).encode()
