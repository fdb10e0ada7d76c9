"""Every command of the pages is typed here or in another test, as it stands there, or carries its reason."""

import shlex
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from documented_commands import PAGES, ROOT, blocks, commands, named, type_command
from small_commands import SMALL_CATALOG, write_config

ELSEWHERE = {
    "README.md": "tests/test_first_hour.py",
    "docs/own_parts.md": "tests/test_own_parts_page.py",
}
"""Page -> the test that types its commands."""

LONG = "hours of training, whose figures the page holds"
SERVED = "it answers until it is ended; tests/serving/app drive it"
CLUSTER = "a server of Milvus; tests/serving/milvus type the same with an embedded one"
SEVERAL = "several processes; tests/commands/test_fit_processes.py and test_doctor.py start them"
NOT_TYPED = {
    "prepare manifest.csv": LONG,
    "fit configs/": LONG,
    "serve ": SERVED,
    "publish data/bundle --to milvus:https": CLUSTER,
    "publish embeddings --to milvus:https": CLUSTER,
    "search data/bundle --from milvus:https": CLUSTER,
    "fit shop.yaml": SEVERAL,
    "doctor --devices 2": SEVERAL,
    "compare data/catalog --run mine --run other": "as with one run; tests/commands/test_compare.py compares two",
    "compare data/catalog --encoders clip,": "weights of a hub, which tests do not reach",
}
"""How a command begins -> why no test types it."""

SHORTER = {
    "compare": ["--set", "robustness_images=0", "--set", "draws=1000", "--set", "pictures.map_points=0"],
    "export": ["--set", "export.onnx=false"],
    "doctor": ["--devices", "1"],
}
OWN_NAMES = {"RUN": "shop", "SKU-1": "SKU-1.jpg", "SKU-2": "SKU-2.jpg"}


def shown(page: str) -> list[list[str]]:
    """The commands of a page that are typed here, in their order."""
    found = [words for text in blocks(ROOT / page, "sh") for words in commands(text)]
    return [words for words in found if not reason(words)]


def reason(words: list[str]) -> str | None:
    line = " ".join(words)
    return next((why for beginning, why in NOT_TYPED.items() if line.startswith(beginning)), None)


HERE = ["docs/configuration.md", "docs/verdict.md", "docs/scale.md", "docs/gpus.md", "docs/bundle.md"]


def test_every_command_is_typed_or_carries_its_reason() -> None:
    pages = {named(page): page for page in PAGES}
    lines = {name: [words for text in blocks(page, "sh") for words in commands(text)] for name, page in pages.items()}
    left = {
        f"{name}: simtrain {shlex.join(words)}"
        for name, found in lines.items()
        for words in found
        if name not in ELSEWHERE and name not in HERE and reason(words) is None
    }
    assert left == set()
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())
    every = [" ".join(words) for found in lines.values() for words in found]
    assert [start for start in NOT_TYPED if not any(line.startswith(start) for line in every)] == []


def typed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    type_command([*(OWN_NAMES.get(word, word) for word in words), *SHORTER.get(words[0], [])], monkeypatch)


@pytest.mark.slow
def test_commands_of_the_pages_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    typed(["prepare", "synthetic:30", "--out", "data/catalog", *SMALL_CATALOG], monkeypatch)
    write_config(Path("shop.yaml"), catalog="data/catalog", run="shop")
    typed(["fit", "shop.yaml"], monkeypatch)
    pictures = sorted(Path("data/catalog/source").rglob("*.jpg"))
    shutil.copy(pictures[0], "query.jpg")
    Path("new_photos").mkdir()
    for number in (1, 2):
        shutil.copy(pictures[number], f"new_photos/SKU-{number}.jpg")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    Path("key.pem").write_bytes(pem)
    for page in HERE:
        for words in shown(page):
            if page == "docs/bundle.md" and words[:2] == ["index", "add"]:  # of a bundle that nobody has signed
                shutil.rmtree("data/bundle")
                typed(["export", "shop", "--out", "data/bundle"], monkeypatch)
            typed(words, monkeypatch)
    told = capsys.readouterr().out
    assert f"bundle: data/bundle ({len(pictures) + 2} items): 2 added" in told
    assert f"bundle: data/bundle ({len(pictures)} items): 2 removed" in told
    assert "published: 'bundle' in milvus:shop.db" in told
