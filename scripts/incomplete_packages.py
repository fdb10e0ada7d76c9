"""Print, as `name==version` a line, the installed packages of which a listed file is missing.

uv 0.13.9 has left 7,883 of mkdocs-material's 14,591 files behind, with exit status 0.
"""

from importlib.metadata import Distribution, distributions
from pathlib import Path


def main() -> None:
    """Look at every package of the running interpreter."""
    for package in distributions():
        if not is_complete(package):
            print(f"{package.metadata['Name']}=={package.version}")


def is_complete(package: Distribution) -> bool:
    """Whether every file of the package's own list is there; compiled files may be made anew."""
    return all(Path(str(file.locate())).exists() for file in package.files or () if file.suffix != ".pyc")


if __name__ == "__main__":
    main()
