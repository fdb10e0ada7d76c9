"""What `import simtrain` offers: light to import, complete, documented, and one workflow in ten lines."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_clip import make_tiny_clip

import simtrain

ROOT = Path(simtrain.__file__).parents[1]

WORKFLOW = """
import simtrain

catalog = simtrain.prepare("photos/", out="data/catalog", overrides={settings})
clip = simtrain.load_encoder("clip:model")
vectors = clip.encode(["photos/chair/a.jpg", "photos/chair/b.jpg"])
print(vectors.shape, vectors.dtype, round(float((vectors ** 2).sum(axis=1).mean()), 4))
print(simtrain.evaluate(clip, catalog, split="val"))
run = simtrain.fit({config}, catalog=catalog)
print(simtrain.compare(catalog, [clip, run], overrides={compared}).verdict(run))
bundle = run.export("data/bundle")
for hit in bundle.search("query.jpg", k=5):
    print(hit.rank, hit.similarity, hit.id)
print(run)
print(catalog)
print(bundle)
"""

CONFIG = {
    "run": "tuned",
    "encoder": {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32},
    "objective": {"kind": "triplet"},
    "data": {"batch_size": 16, "workers": 0},
    "trainer": {"epochs": 1, "accelerator": "cpu"},
    "evaluation": {"bootstrap_draws": 100},
    "export": {"onnx": False},
}
COMPARED = {"robustness_images": 2, "draws": 1000, "pictures.map_method": "pca"}


def test_import_needs_nothing_heavy():
    code = (
        "import simtrain, sys; "
        "heavy = {'torch', 'pandas', 'numpy', 'pydantic', 'typer', 'PIL'} & set(sys.modules); print(sorted(heavy))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert printed.strip() == "[]"


def test_every_public_name_is_there_and_says_what_it_does():
    assert len(simtrain.__all__) <= 21  # each verb is one, beside what they give
    for name in simtrain.__all__:
        value = getattr(simtrain, name)
        assert inspect.getdoc(value), name
        assert name in dir(simtrain)
        if inspect.isfunction(value):
            undocumented = [each for each in inspect.signature(value).parameters if f"{each}:" not in value.__doc__]
            assert undocumented == [], name


def test_a_name_that_is_not_there_names_those_that_are():
    with pytest.raises(AttributeError, match="no attribute 'train'; public are: Console, SimtrainError"):
        simtrain.train  # noqa: B018


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Photographs in class folders, a query and a model, in a folder outside the repository."""
    from simtrain.commands.prepare import prepare
    from simtrain.config import PrepareConfig
    from simtrain.console import Console

    settings = {"synthetic": {"views": 4, "image_size": 48}, "workers": 1}
    made = prepare(
        "synthetic:16", out=tmp_path / "made", config=PrepareConfig.model_validate(settings), console=Console()
    ).catalog
    photos = tmp_path / "photos"
    for row in made.rows.itertuples():
        target = photos / "chair" / f"{row.product}_{row.view}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(made.image_path(row.Index).read_bytes())
    pictures = sorted((photos / "chair").iterdir())
    for name, picture in (("a.jpg", pictures[0]), ("b.jpg", pictures[1])):
        picture.rename(photos / "chair" / name)
    (tmp_path / "query.jpg").write_bytes(pictures[5].read_bytes())
    make_tiny_clip(tmp_path / "model")
    return tmp_path


@pytest.mark.slow
def test_ten_lines_from_photographs_to_hits_with_the_built_wheel(shop: Path, tmp_path_factory: pytest.TempPathFactory):
    built = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(built), str(ROOT)], check=True, timeout=300)
    wheel = next(built.glob("simtrain-*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--target", str(built / "site"), str(wheel)], check=True, timeout=300)
    settings = {"product_pattern": r"([^/]+)_\d+\.jpg$", "split": {"val": 0.25, "test": 0.25}, "workers": 1}
    script = WORKFLOW.format(config=CONFIG, settings=settings, compared=COMPARED)
    (shop / "workflow.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "workflow.py"],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(built / "site")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert lines[0] == "(2, 48) float32 1.0"
    assert any(line.startswith("clip:model, split val: ") for line in lines)
    assert any(line.lstrip().startswith("map_at_r") for line in lines)
    assert any(("tuned" in line and "better" in line) or "worse" in line for line in lines)
    hits = [line.split() for line in lines if re.match(r"[1-5] -?\d\.\d", line)]
    assert [int(hit[0]) for hit in hits] == [1, 2, 3, 4, 5]
    similarities = [float(hit[1]) for hit in hits]
    assert similarities == sorted(similarities, reverse=True)
    assert any(line.startswith("run: checkpoints/tuned") for line in lines)
    assert any(line.startswith("next: simtrain search data/bundle") for line in lines)


class ChannelMeans(torch.nn.Module):
    """Mean colour of an image, moved away from zero."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) + 3.0


def test_a_module_of_ones_own_is_evaluated_and_compared(tmp_path: Path):
    settings = {"synthetic": {"views": 3, "image_size": 32}, "split.val": 0.3, "split.test": 0.3, "workers": 1}
    quiet = simtrain.Console()
    catalog = simtrain.prepare("synthetic:16", tmp_path / "catalog", overrides=settings, console=quiet)
    own = simtrain.load_encoder(ChannelMeans(), image_size=16, name="means")
    report = simtrain.evaluate(own, catalog, console=quiet)
    rows = catalog.rows_of(["test"])
    embeddings = own.encode([catalog.image_path(int(row)) for row in rows], console=quiet)
    by_hand = simtrain.retrieval_metrics(embeddings, list(catalog.rows["product"].iloc[rows]))
    assert report.name == "means"
    assert report.encoder == {"kind": "python", "target": f"{ChannelMeans.__module__}:ChannelMeans"}
    for metric in ("recall_at_1", "map_at_r"):
        assert report.evaluation.metrics[metric].mean == pytest.approx(by_hand.metrics[metric].mean, abs=1e-6)
    small = {"robustness_images": 0, "whitening": None, "draws": 1000, "workers": 0, "pictures.map_method": "pca"}
    compared = simtrain.compare(catalog, ["pixels", own], overrides={"baseline": "pixels", **small}, console=quiet)
    found = compared.encoder("means").relevances["product"].metrics["map_at_r"].mean
    assert found == pytest.approx(report.evaluation.metrics["map_at_r"].mean, abs=1e-6)
    assert "means" in str(compared.verdict(own))
