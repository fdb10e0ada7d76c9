"""Scripts beside the package: the check of what an installer left behind; the version that CITATION.cff gives."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def incomplete(site: Path) -> list[str]:
    command = [sys.executable, "-S", str(ROOT / "scripts" / "incomplete_packages.py")]
    found = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def install(site: Path, name: str, *files: str) -> None:
    folder = site / f"{name}-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8")
    (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")


def test_a_package_without_one_of_its_files_is_named(tmp_path: Path):
    (tmp_path / "whole.py").touch()
    install(tmp_path, "whole", "whole.py", "whole-1.2.dist-info/RECORD", "__pycache__/whole.cpython-311.pyc")
    install(tmp_path, "half", "half.py", "half-1.2.dist-info/RECORD")
    assert incomplete(tmp_path) == ["half==1.2"]


def test_the_citation_names_the_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
