"""Run notebooks in an empty folder and store what they print: python notebooks/execute.py [NAME ...]."""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

_FOLDER = Path(__file__).parent


def execute(path: Path) -> None:
    """Run one, and replace its outputs; it stays as it was if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=1800, kernel_name="python3", record_timing=False, resources={"metadata": {"path": folder}}
        )
        client.execute()
    notebook.metadata["language_info"] = {"name": "python"}  # else each Python's version is a change
    nbformat.write(notebook, path)


def main() -> None:
    """Run those that are named, or all."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # for !simtrain
    for name in sys.argv[1:] or sorted(path.stem for path in _FOLDER.glob("*.ipynb")):
        execute(_FOLDER / f"{name}.ipynb")
        print(f"{name}: done", flush=True)


if __name__ == "__main__":
    main()
