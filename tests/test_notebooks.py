import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NAMES = ["01_four_embeddings", "02_fine_tune_and_compare", "03_text_search"]
NAMES_OF_A_NOTEBOOK = "^(?!_|In$|Out$|get_ipython$|exit$|quit$|open$)"
LARGEST_BYTES = 1_500_000
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:root|home|work|tmp|usr|opt|var|mnt|Users|private)/|\b[A-Z]:\\\\")


def stored(name: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook: NotebookNode) -> str:
    """What the cells print and show, without pictures."""
    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            found.append(output.get("text", ""))
            found += [data for kind, data in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(found)


def pictures(notebook: NotebookNode) -> int:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return sum("image/jpeg" in output.get("data", {}) for output in outputs)


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """One process for all notebooks, which imports torch once; each begins without the names of the one before."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # of !simtrain
        manager, client = start_new_kernel(kernel_name="python3")
    yield manager
    client.stop_channels()
    manager.shutdown_kernel()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose catalogue two notebooks prepare alike; the second finds it drawn."""
    return tmp_path_factory.mktemp("shop")


def executed(name: str, folder: Path, kernel: KernelManager, **parameters: Any) -> NotebookNode:
    """The notebook after a run in a folder with other parameters; a cell that fails raises."""
    notebook = stored(name)
    place = next(place for place, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    chosen = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(chosen))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(f"%reset_selective -f {NAMES_OF_A_NOTEBOOK}\n%cd -q {folder}"))
    NotebookClient(notebook, km=kernel, timeout=300).execute(cleanup_kc=False)
    return notebook


def in_percent(share: float) -> str:
    return f"{100 * share:.1f}"


def test_every_notebook_is_tested():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestStored:
    def test_every_cell_was_run_in_order(self, name):
        counts = [cell.execution_count for cell in code_cells(stored(name))]
        assert counts == list(range(1, len(counts) + 1))

    def test_no_cell_failed_or_warned(self, name):
        kinds = [output.get("name", output.output_type) for cell in code_cells(stored(name)) for output in cell.outputs]
        assert not {"error", "stderr"} & set(kinds)

    def test_names_no_place_of_one_machine(self, name):
        assert ABSOLUTE_PATH.findall(texts(stored(name))) == []

    def test_tells_no_times(self, name):
        assert "images/s" not in texts(stored(name))
        assert all("execution" not in cell.metadata for cell in stored(name).cells)

    def test_has_pictures_and_is_small(self, name):
        assert pictures(stored(name)) >= 5
        assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < LARGEST_BYTES

    def test_has_one_cell_of_parameters(self, name):
        tags = [cell.metadata.get("tags", []) for cell in stored(name).cells]
        assert sum("parameters" in of for of in tags) == 1


@pytest.mark.slow
def test_four_embeddings_measures_what_is_there_and_names_what_is_not(tmp_path, kernel):
    notebook = executed(
        "01_four_embeddings",
        tmp_path,
        kernel,
        SOURCE="synthetic:16",
        ENCODERS=["pixels", "histogram_hsv", "efficientnet_lite0", "simclr_resnet50"],
        SHOWN_QUERIES=2,
        CHANGED_IMAGES=3,
        DRAWS=1000,
        FOLDER="made",
    )
    told = texts(notebook)
    assert "simclr_resnet50: checkpoints/simclr_imagenet.ckpt: no such weights file" in told
    report = json.loads((tmp_path / "made/comparison.json").read_text(encoding="utf-8"))
    names = [of["name"] for of in report["encoders"]]
    assert names[:4] == ["chance", "pixels", "histogram_hsv", "efficientnet_lite0"]
    for of in report["encoders"]:
        figure = of["relevances"]["product"]["metrics"]["map_at_r"]
        assert f"{in_percent(figure['mean'])} ({in_percent(figure['low'])} to {in_percent(figure['high'])})" in told
    assert pictures(notebook) == 1 + 2 + 3 + 1  # products, queries, worst queries, categories
    assert (tmp_path / "made/comparison.html").is_file()


@pytest.mark.slow
def test_fine_tune_and_compare_tells_the_verdict_and_searches(shop, kernel):
    notebook = executed(
        "02_fine_tune_and_compare",
        shop,
        kernel,
        SOURCE="synthetic:30",
        EPOCHS=1,
        BATCH_SIZE=16,
        IMAGE_SIZE=64,
        ENCODERS=["pixels", "histogram_hsv"],
        DRAWS=1000,
        FOLDER="made",
    )
    told = texts(notebook)
    report = json.loads((shop / "made/comparison.json").read_text(encoding="utf-8"))
    words = {one["relevance"]: one["word"] for one in report["verdicts"] if one["encoder"] == "tuned"}
    printed = re.findall(r"^verdict, by (\w+): (better|mixed|not shown to be better|worse)$", told, flags=re.MULTILINE)
    assert dict(printed) == words
    assert words.keys() == {"product", "label", "kind"}
    assert "number of times that the test metrics of this run were read: 1" in told
    from_python = re.findall(r"^[123]\. (\d\.\d{3}) (\S+\.jpg)", told, flags=re.MULTILINE)
    by_command = re.findall(r"^ +[123] +(\d\.\d{3}) .*?(\w+/\S+\.jpg)", told, flags=re.MULTILINE)
    assert len(from_python) == 3
    assert by_command == from_python
    assert (shop / "made/comparison.html").is_file()


@pytest.mark.slow
def test_text_search_learns_words_and_finds_by_them(shop, kernel):
    notebook = executed(
        "03_text_search",
        shop,
        kernel,
        SOURCE="synthetic:30",
        EPOCHS=2,
        IMAGE_SIZE=64,
        TEXTS=["an orange hat"],
        NOT_IN_THE_SHOP=["a sports car"],
        FOLDER="made",
    )
    told = texts(notebook)
    best = r"text_to_image_map_at_r on val: (\d\.\d{3}) in epoch [12].*, zero-shot (\d\.\d{3})"
    after, before = re.findall(best, told)[0]
    assert float(after) > float(before)
    assert "bundle: made/bundle (150 items)" in told
    assert pictures(notebook) == 1 + 2  # captions, two texts
    assert len(re.findall(r"^ +[123] +-?\d\.\d{3} .*\.jpg", told, flags=re.MULTILINE)) == 3
