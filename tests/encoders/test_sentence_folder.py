"""Models that name code, lack tensors or a tokenizer, or are of another library, refused before they are used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tiny_clip import make_tiny_clip, make_tiny_siglip
from tiny_text import make_tiny_text

from simtrain.encoders.clip import open_clip_model
from simtrain.encoders.sentence_models import open_sentence_model
from simtrain.encoders.text_tower import open_text_tower
from simtrain.errors import CheckpointError

CODE = "import pathlib\npathlib.Path({marker!r}).touch()\nclass Evil:\n    pass\n"


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("clip") / "clip")


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_text(tmp_path_factory.mktemp("text") / "text")


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to))


def refusal(opened: Callable[[], object]) -> str:
    with pytest.raises(CheckpointError) as caught:
        opened()
    return str(caught.value)


def without(folder: Path, part: str) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if part not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("kind", ["evil.Evil", "torch.nn.Linear", "sentence_transformersevil.Evil", 7])
def test_module_type_of_others_is_refused_and_its_code_not_run(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: object
):
    folder, marker = copied(text_folder, tmp_path / "model"), tmp_path / "run"
    for place in (folder, tmp_path):
        (place / "evil.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[1]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    assert refusal(lambda: open_text_tower(str(folder))) == (
        f"name: '{folder}': {folder / 'modules.json'} names the module type {kind!r}; only types of "
        "sentence-transformers (sentence_transformers.…) are opened, as any other would run code"
    )
    assert not marker.exists()


@pytest.mark.parametrize("file", ["router_config.json", "config.json"])
def test_part_of_a_router_of_others_is_refused(text_folder: Path, tmp_path: Path, file: str):
    folder = copied(text_folder, tmp_path / "model")
    (folder / "1_Router").mkdir()
    content = {"types": {"query_0": "evil.Evil"}, "structure": {"query": ["query_0"]}}
    (folder / "1_Router" / file).write_text(json.dumps(content), encoding="utf-8")
    assert "names the module type 'evil.Evil'" in refusal(lambda: open_sentence_model(str(folder), processor={}))


def test_list_of_modules_that_is_no_json_is_refused(text_folder: Path, tmp_path: Path):
    folder = copied(text_folder, tmp_path / "model")
    (folder / "modules.json").write_text("[" * 100_000, encoding="utf-8")
    assert f"{folder / 'modules.json'}: cannot be read" in refusal(
        lambda: open_sentence_model(str(folder), processor={})
    )


def test_layer_that_is_missing_is_not_made_of_random_numbers(clip_folder: Path, tmp_path: Path):
    folder = copied(clip_folder, tmp_path / "clip")
    without(folder, "vision_model.encoder.layers.1.")
    assert refusal(lambda: open_clip_model(str(folder))) == (
        f"name: '{folder}' lacks 16 tensors of its own network, such as "
        "'vision_model.encoder.layers.1.layer_norm1.bias'"
    )


def test_bias_that_is_missing_is_not_made_of_zeros(clip_folder: Path, tmp_path: Path):
    folder = copied(clip_folder, tmp_path / "clip")
    without(folder, "text_model.final_layer_norm.bias")
    assert "lacks 1 tensor of its own network, such as 'text_model.final_layer_norm.bias'" in refusal(
        lambda: open_clip_model(str(folder))
    )


def test_names_with_a_prefix_are_told(clip_folder: Path, tmp_path: Path):
    folder = copied(clip_folder, tmp_path / "clip")
    weights = load_file(folder / "model.safetensors")
    prefixed = {f"module.{name}": value for name, value in weights.items()}
    save_file(prefixed, folder / "model.safetensors", metadata={"format": "pt"})
    told = refusal(lambda: open_clip_model(str(folder)))
    assert f"lacks {len(weights)} tensors of its own network" in told
    assert f"it has {len(weights)} others, such as 'module." in told


def test_text_tower_without_a_layer_is_refused(text_folder: Path, tmp_path: Path):
    folder = copied(text_folder, tmp_path / "text")
    without(folder, "encoder.layer.0.attention.self.query.weight")
    assert "lacks 1 tensor of its own network" in refusal(lambda: open_text_tower(str(folder)))


@pytest.mark.parametrize("make", [make_tiny_clip, make_tiny_siglip])
def test_model_without_its_tokenizer_is_refused(tmp_path: Path, make: Callable[[Path], Path]):
    folder = make(tmp_path / "model")
    for name in ("tokenizer.json", "vocab.json", "merges.txt", "spiece.model"):
        (folder / name).unlink(missing_ok=True)
    assert refusal(lambda: open_clip_model(str(folder))).startswith(f"name: '{folder}' lacks its tokenizer (")


def test_tokenizer_of_another_model_is_refused(clip_folder: Path, tmp_path: Path):
    folder = copied(clip_folder, tmp_path / "clip")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    size = len(vocabulary)
    vocabulary |= {f"word{number}</w>": size + number for number in range(500)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    assert f"its tokenizer has {size + 500} tokens, its network only {size}: one of another model" in refusal(
        lambda: open_clip_model(str(folder))
    )


def test_folder_of_open_clip_is_named(tmp_path: Path):
    (tmp_path / "open_clip_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "open_clip_model.safetensors").touch()
    assert refusal(lambda: open_clip_model(str(tmp_path))) == (
        f"name: '{tmp_path}' is a model of open_clip (open_clip_config.json); simtrain opens image-text models of "
        "transformers (config.json, model.safetensors, tokenizer.json): take the same model in that format"
    )


@pytest.mark.parametrize("part", ["text_config", "vision_config"])
def test_layers_that_the_weights_do_not_hold_are_refused_before_they_are_built(
    clip_folder: Path, tmp_path: Path, part: str
):
    folder = copied(clip_folder, tmp_path / "model")
    (path,) = folder.rglob("config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    config[part]["num_hidden_layers"] = 10**7
    path.write_text(json.dumps(config), encoding="utf-8")
    tensors = len(load_file(path.parent / "model.safetensors"))
    assert refusal(lambda: open_clip_model(str(folder))) == (
        f"name: '{folder}': {path}: num_hidden_layers is 10000000, which model.safetensors does not hold: {tensors} at "
        "most"
    )
