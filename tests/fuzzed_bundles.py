"""Whole bundles as an attacker would give them: mutated files, planted code, right hashes; and what ran meanwhile."""

import json
import os
import pickle
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from mutations import mutate_tree, mutated_bytes, mutated_json
from small_commands import SMALL_CATALOG, write_config
from tiny_clip import make_tiny_clip

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.files import sha256_of_file
from simtrain.serving.golden import space_fingerprint
from simtrain.serving.manifest import write_manifest

Run = Callable[..., tuple[int, str, str]]
KINDS = ("flat", "approximate", "clip")
"""Bundles that are mutated: exact with ONNX, approximate under torch, an image-text model in its own folder."""

_CANARY = "canary"
_ELSEWHERE = "elsewhere.txt"  # what links lead to
_EVIL = f"from pathlib import Path\nPath({_CANARY!r}).touch()\nclass Evil:\n    pass\n"
_NEVER = {
    "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pickle.find_class", "pty.spawn",
    "socket.connect", "subprocess.Popen",
}  # fmt: skip


class _Bomb:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {_CANARY}",)


@dataclass
class Watch:
    """What the interpreter was asked for while a mutated bundle was read; one for a process, for good."""

    on: bool = False
    seen: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Watch from now on; there is no way back."""
        sys.addaudithook(self._event)

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _NEVER or (event == "import" and str(arguments[0]).startswith("evil")):
            self.seen.append(f"{event} {str(arguments)[:100]}")
        elif event == "exec" and "tried" in getattr(arguments[0], "co_filename", ""):
            self.seen.append(f"exec {arguments[0].co_filename}")


def make_bundles(run: Run) -> None:
    """Fill the working folder with one bundle of each kind, by the commands themselves."""
    assert run("prepare", "synthetic:16", "--out", "catalog", *SMALL_CATALOG)[0] == 0
    write_config(Path("shop.yaml"), evaluation={"bootstrap_draws": 100})
    make_tiny_clip(Path("model"))
    write_config(Path("text.yaml"), encoder={"kind": "clip", "model": "model"}, evaluation={"bootstrap_draws": 100})
    for name in ("shop", "text"):
        assert run("fit", f"{name}.yaml", "--set", "trainer.max_steps=1")[0] == 0
    for kind, name, settings in (
        ("flat", "shop", ("export.onnx=true",)),
        ("approximate", "shop", ("export.index=IVF4,SQ8",)),
        ("clip", "text", ("export.onnx=false",)),
    ):
        assert run("export", name, "--out", kind, *(part for each in settings for part in ("--set", each)))[0] == 0


def try_bundle(seed: int, run: Run, watch: Watch) -> tuple[int, str, list[str]]:
    """Mutate a copy of a bundle and read it by a command.

    Returns:
        Exit status, everything that was printed, and what ran that never must.
    """
    chance, folder = random.Random(f"bundle {seed}"), Path("tried")
    shutil.rmtree(folder, ignore_errors=True)
    kind = chance.choice(KINDS)
    shutil.copytree(kind, folder)
    Path(_ELSEWHERE).write_text("root:x:0:0")
    for _ in range(chance.choice((1, 1, 2, 3))):
        _mutate(folder, kind, chance)
    if chance.random() < 0.5:
        sign_again(folder, chance)
    watch.seen.clear()
    watch.on = True
    try:
        status, shown, aside = run(*_arguments(chance))
    finally:
        watch.on = False
    ran = list(watch.seen)
    if Path(_CANARY).exists():
        Path(_CANARY).unlink()
        ran.append("planted code has run")
    return status, shown + aside, ran


def sign_again(folder: Path, chance: random.Random) -> None:
    """Make hashes, fingerprints and the checksum right, and list what was planted, as an attacker would."""
    read = ("manifest.json", "items.parquet", "encoder/model.safetensors", "encoder/golden.safetensors")
    if not all((folder / name).is_file() for name in read):
        return
    try:
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if chance.random() < 0.7:
            _fingerprint_again(folder, content)
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        content["files"] = {name: sha256_of_file(folder / name) for name in sorted(names - {"manifest.json"})}
        write_manifest(folder, content)
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        pass  # mutated beyond that


def _fingerprint_again(folder: Path, content: dict[str, Any]) -> None:
    hashes = {name: sha256_of_file(folder / "encoder" / f"{name}.safetensors") for name in ("model", "golden")}
    fingerprint = space_fingerprint(
        Preprocessing.from_dict(content["preprocessing"]),
        weights_sha256=hashes["model"],
        golden_sha256=hashes["golden"],
        whitening_sha256=None,
    )
    content["fingerprint"] = content["index"]["fingerprint"] = fingerprint
    try:
        table = pq.read_table(folder / "items.parquet")
        note = json.dumps({"fingerprint": fingerprint}).encode()
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"simtrain": note})
        pq.write_table(table, folder / "items.parquet")
    except (pa.ArrowException, OSError):
        pass  # a damaged table stays as it is


def _arguments(chance: random.Random) -> tuple[str, ...]:
    query = str(sorted(Path("catalog/source").rglob("*.jpg"))[0])
    search = ("search", "tried", "--image", query, "-k", "2", "--json")
    return chance.choice(
        (
            search,
            search,
            search,
            (*search, "--filter", 'label == "lamp"'),
            ("search", "tried", "--text", "a red mug", "--json"),
            ("search", "tried", "--image", query, "--plot", "found.png"),
            ("index", "verify", "tried"),
            ("index", "remove", "tried", "lamp-0000_0.jpg"),
        )
    )


def _mutate(folder: Path, kind: str, chance: random.Random) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if not files:
        return
    path = chance.choice(files)
    match chance.randrange(10):
        case 0 | 1 | 2:
            content = path.read_bytes()
            if path.suffix == ".json" and chance.random() < 0.7:
                try:
                    path.write_text(mutated_json(content.decode(), chance))
                except ValueError:  # mutated before
                    path.write_bytes(mutated_bytes(content, chance))
            else:
                path.write_bytes(mutated_bytes(content, chance))
        case 3 | 4:
            _mutate_manifest(folder, chance)
        case 5:
            other = chance.choice(files)
            shutil.copyfile(other, path) if other != path else path.unlink()
        case 6:
            _from_another(folder, kind, chance)
        case 7:
            _replace(path, chance)
        case _:
            _plant(folder, chance)


def _mutate_manifest(folder: Path, chance: random.Random) -> None:
    if not (folder / "manifest.json").is_file():  # a pipe, which nobody writes to
        return
    try:
        tree = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        part = chance.choice(
            [tree, tree["encoder"], tree["index"], tree["preprocessing"], tree.get("thresholds") or tree]
        )
        mutate_tree(part, chance)
    except (KeyError, OSError, TypeError, ValueError):
        return  # mutated before
    if chance.random() < 0.8:
        write_manifest(folder, tree)
    else:
        _write(folder / "manifest.json", json.dumps(tree).encode())


def _from_another(folder: Path, kind: str, chance: random.Random) -> None:
    other = Path(chance.choice([each for each in KINDS if each != kind]))
    source = chance.choice(sorted(path for path in other.rglob("*") if path.is_file()))
    target = folder / source.relative_to(other)
    _write(target, source.read_bytes())


def _replace(path: Path, chance: random.Random) -> None:
    """Something that is no plain file, or an empty one, in the place of a file."""
    path.unlink()
    match chance.randrange(5):
        case 0:
            path.mkdir()
        case 1:
            path.symlink_to(Path(_ELSEWHERE).absolute())
        case 2:
            path.symlink_to(path.name)
        case 3:
            os.mkfifo(path)
        case _:
            path.write_bytes(b"")


def _plant(folder: Path, chance: random.Random) -> None:
    """Code, and what makes libraries run code."""
    encoder = folder / "encoder"
    _write(encoder / "evil.py", _EVIL.encode())
    match chance.randrange(6):
        case 0:
            modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]
            _write(encoder / "modules.json", json.dumps(modules).encode())
        case 1:
            _set(encoder / "config.json", "auto_map", {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"})
        case 2:
            _set(encoder / "tokenizer_config.json", "auto_map", {"AutoTokenizer": ["evil.Evil", "evil.Evil"]})
        case 3:
            _write(encoder / chance.choice(("pytorch_model.bin", "model.safetensors")), pickle.dumps(_Bomb()))
        case 4:
            section = {"kind": "python", "target": "evil:Evil", "image_size": 32}
            _set(folder / "manifest.json", "encoder", {"kind": "python", "config": section, "embedding_size": 256})
        case _:
            name = chance.choice(("index.faiss", "items.parquet", "encoder.onnx"))
            _write(folder / name, pickle.dumps(_Bomb()))


def _set(path: Path, key: str, value: Any) -> None:
    try:
        tree = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        tree[key] = value
    except (TypeError, ValueError):
        return  # mutated before
    _write(path, json.dumps(tree).encode())


def _write(path: Path, content: bytes) -> None:
    """A plain file in the place of whatever is there, links not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
