"""One's own encoder, loss and source through the command line: the whole workflow, and nothing imported unasked."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from own_modules import OwnModule

from simtrain import cli
from simtrain.config import load_prepare_config
from simtrain.serving.bundle import Bundle
from simtrain.serving.onnx_runtime import OnnxEncoder

STEPS = re.compile(
    r"\d+ encoders, \d+ images|encoder \d of \d: \w+|verdicts on .+ and pictures|writing .+(\.html|index)"
)
"""What the commands tell of their steps on stderr."""

Run = Callable[..., tuple[int, str, str]]

SHOP = [
    *("--set", "near_duplicates.find=false", "--set", "workers=1"),
    *("--set", "split.val=0.25", "--set", "split.test=0.25", "--set", "inspection.smallest_side=8"),
]


@pytest.fixture
def module(tmp_path: Path) -> Iterator[OwnModule]:
    with OwnModule(tmp_path).importable() as made:
        yield made


def write_config(module: OwnModule, **sections: Any) -> str:
    tree = {
        "catalog": "shop",
        "run": "own",
        "encoder": {"kind": "python", "target": module.target("MyEncoder"), "parameters": {"width": 6}},
        "objective": {"kind": "python", "target": module.target("MyLoss"), "parameters": {"temperature": 0.2}},
        "data": {"batch_size": 8, "workers": 0},
        "trainer": {"epochs": 1, "accelerator": "cpu"},
        "evaluation": {"bootstrap_draws": 100},
        "export": {"onnx": False},
    }
    (module.folder / "own.yaml").write_text(yaml.safe_dump({**tree, **sections}))
    return "own.yaml"


def test_the_whole_workflow_and_a_refusal_by_each_command_before_it(simtrain: Run, module: OwnModule, tmp_path: Path):
    assert simtrain("prepare", f"python:{module.target('rows')}", "--out", "shop", *SHOP)[0] == 0
    image = str(next((tmp_path / "shop" / "source" / "images").iterdir()))
    compared = ["compare", "shop", "--encoders", "pixels", "--run", "own", "--set", "robustness_images=0"]
    compared += ["--set", "draws=1000", "--set", "whitening=null", "--set", "pictures.map_method=pca"]
    steps = [
        ["fit", write_config(module)],
        ["fit", "--resume", "own"],
        ["evaluate", "own", "--split", "val"],
        ["interpolate", "own", "--steps", "2"],
        compared,
        ["export", "own", "--out", "bundle"],
        ["search", "bundle", "--image", image],
    ]
    for step in steps:
        files = {"search": "bundle/manifest.json"}.get(step[0], "checkpoints/own/config.yaml")
        file = "own.yaml" if step == steps[0] else files
        imported = tmp_path / f"{module.name}.imported"
        imported.unlink(missing_ok=True)
        sys.modules.pop(module.name, None)
        if "--resume" in step:  # a run that has finished is not resumed
            record = json.loads((tmp_path / "checkpoints/own/run.json").read_text())
            (tmp_path / "checkpoints/own/run.json").write_text(json.dumps({**record, "status": "interrupted"}))
        before = (tmp_path / "checkpoints/own/run.json").read_bytes() if step != steps[0] else b""
        assert simtrain(*step) == (
            2,
            "",
            f"error: encoder.target: {file} names the code {module.target('MyEncoder')}, which is imported only if you "
            f"allow it: simtrain {' '.join(step)} --allow-code\n",
        )
        assert not imported.exists()
        assert before == ((tmp_path / "checkpoints/own/run.json").read_bytes() if step != steps[0] else b"")
        status, out, error = simtrain(*step, "--allow-code")
        assert status == 0, out + error
        assert [line for line in error.splitlines() if not STEPS.fullmatch(line)] == []
        assert imported.exists()
    run = json.loads((tmp_path / "checkpoints/own/run.json").read_text())
    assert run["code"]["encoder"]["target"] == module.target("MyEncoder")
    assert run["code"]["encoder"]["parameters"] == {"width": 6}
    assert run["code"]["objective"]["parameters"] == {"temperature": 0.2}
    manifest = json.loads((tmp_path / "bundle/manifest.json").read_text())
    assert manifest["encoder"]["code"]["file"] == f"{module.name}.py"
    assert not [path for path in (tmp_path / "bundle").rglob("*") if path.suffix == ".py"]


@pytest.fixture
def shop(module: OwnModule, simtrain: Run) -> Path:
    assert simtrain("prepare", f"python:{module.target('rows')}", "--out", "shop", *SHOP)[0] == 0
    return module.folder / "shop"


def test_weights_of_the_loss_learn_and_a_resumed_run_goes_on_with_them(shop: Path, simtrain: Run, module: OwnModule):
    config = write_config(module)
    whole = ["fit", config, "--allow-code", "--set", "trainer.epochs=2"]
    assert simtrain(*whole, "--set", "run=whole")[0] == 0
    weights = torch.load(shop.parent / "checkpoints/whole/last.ckpt", weights_only=True)["state_dict"]
    assert weights["own_loss.scale"].shape == (64,)
    assert not torch.equal(weights["own_loss.scale"], torch.ones(64))


def test_a_teacher_and_a_compared_configuration_are_refused_too(shop: Path, simtrain: Run, module: OwnModule):
    config = write_config(module)
    (module.folder / "student.yaml").write_text(
        yaml.safe_dump(
            {
                "catalog": "shop",
                "encoder": {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32},
                "objective": {"kind": "distill", "teacher": config},
                "data": {"batch_size": 8, "workers": 0},
                "trainer": {"epochs": 1, "accelerator": "cpu"},
            }
        )
    )
    named = f"own.yaml names the code {module.target('MyEncoder')}, which is imported only if you allow it: simtrain"
    (module.folder / f"{module.name}.imported").unlink()
    sys.modules.pop(module.name)
    for command, where in (
        (["fit", "student.yaml"], "objective.teacher.own.yaml: encoder.target: "),
        (["compare", "shop", "--encoders", "pixels,own.yaml"], "own.yaml: encoder.target: "),
        (["evaluate", "own.yaml"], "encoder.target: "),
    ):
        status, out, error = simtrain(*command)
        assert (status, error) == (2, f"error: {where}{named} {' '.join(command)} --allow-code\n"), out
        assert not module.was_imported
    assert not (shop.parent / "checkpoints").exists()
    for command in (["fit", "student.yaml"], ["evaluate", "own.yaml", "--split", "val"]):
        assert simtrain(*command, "--allow-code")[0] == 0
    assert module.was_imported


def test_near_duplicates_are_not_looked_for_with_code_unasked(simtrain: Run, module: OwnModule):
    section = f"near_duplicates.encoder={{kind: python, target: '{module.target('MyEncoder')}'}}"
    assert load_prepare_config(None, [section])
    source = module.folder / "photos" / "chair"
    source.mkdir(parents=True)
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for number in range(3):
        Image.fromarray(pixels).save(source / f"{number}.jpg", quality=95 - 30 * number)
    command = ["prepare", "photos", "--out", "shop", "--set", section]
    status, _, error = simtrain(*command)
    assert status == 2
    assert f"near_duplicates.encoder.target: --set names the code {module.target('MyEncoder')}" in error
    assert not module.was_imported
    assert simtrain(*command, "--allow-code")[0] == 0
    assert module.was_imported


BROKEN = """
import torch
from torch import nn

class Breaks(nn.Module):
    preprocessing = {"image_size": 16}
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)
    def forward(self, images):
        if self.training:
            raise KeyError("not in training")
        return self.layer(images.mean(dim=(2, 3)))

class Held(Breaks):
    def forward(self, images):
        return super().forward(images).detach()

class Bare(nn.Module):
    preprocessing = {"image_size": 16}
    def forward(self, images):
        return images.mean(dim=(2, 3))
"""


def test_what_cannot_be_trained_is_told_before_and_what_breaks_shows_its_own_traceback(
    shop: Path, simtrain: Run, tmp_path: Path
):
    with OwnModule(tmp_path, BROKEN).importable() as broken:
        for name, message in (
            ("Bare", "encoder.target: has no weights that learn, so there is nothing to train"),
            ("Held", "encoder.target: its vectors carry no gradient, so that it cannot be trained (torch.no_grad, "
             "detach or numpy inside?)"),
        ):  # fmt: skip
            section = {"kind": "python", "target": broken.target(name)}
            config = write_config(broken, encoder=section, objective={"kind": "triplet"})
            assert simtrain("fit", config, "--allow-code")[2] == f"error: {message}\n"
        section = {"kind": "python", "target": broken.target("Breaks")}
        config = write_config(broken, encoder=section, objective={"kind": "triplet"})
        status, _, error = simtrain("fit", config, "--allow-code")
    lines = error.splitlines()
    assert status == 2
    assert lines[0] == f"error: {broken.target('Breaks.forward')} raised KeyError; this is its own traceback:"
    assert lines[1] == "Traceback (most recent call last):"
    assert f'{broken.name}.py", line 12, in forward' in lines[2]
    assert lines[-1] == "KeyError: 'not in training'"


@pytest.mark.slow
def test_the_real_command_in_processes_of_its_own_and_onnx_without_the_module(tmp_path: Path):
    module = OwnModule(tmp_path)
    config = write_config(module, export={"onnx": True}, trainer={"epochs": 1, "accelerator": "cpu", "devices": 2,
                          "freeze_batch_norm": True})  # fmt: skip
    root = str(Path(cli.__file__).parents[2])
    script = Path(sys.executable).with_name("simtrain")

    def typed(*arguments: str, path: str = f"{root}{os.pathsep}.") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": path}
        command = [str(script), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    source = f"python:{module.target('rows')}"
    unknown = typed("prepare", source, "--out", "shop", *SHOP, path=root)
    assert unknown.returncode == 2
    assert unknown.stderr.endswith("of a module in this folder type: PYTHONPATH=. simtrain …\n")
    for command in (
        ["prepare", source, "--out", "shop", *SHOP],
        ["fit", config, "--allow-code"],
        ["export", "own", "--out", "bundle", "--allow-code"],
    ):
        done = typed(*command)
        assert done.returncode == 0, done.stderr[-2000:]
    (tmp_path / f"{module.name}.py").unlink()
    searched = typed("search", "bundle", "--image", "shop/source/images/00000000.png", "--json", path=root)
    assert searched.returncode == 0, searched.stderr[-2000:]
    first = json.loads(searched.stdout)["neighbours"][0]
    assert (first["id"], round(first["similarity"], 3)) == ("images/00000000.png", 1.0)
    refused = typed("search", "bundle", "--image", "shop/source/images/00000000.png", "--allow-code", path=root)
    assert refused.returncode == 2
    assert f"there is no module '{module.name}'" in refused.stderr
    bundle = Bundle.open(tmp_path / "bundle")
    from safetensors.torch import load_file

    golden = load_file(tmp_path / "bundle/encoder/golden.safetensors")
    assert bundle.onnx_path is not None
    found = OnnxEncoder(path=bundle.onnx_path).embed(bundle.preprocessing.normalise(golden["images"]).numpy())
    np.testing.assert_allclose(found, golden["embeddings"].numpy(), atol=1e-4)
