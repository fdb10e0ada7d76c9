"""Recipes: configurations of runs that come with the package. In a clone they are read in `configs/`."""

from pathlib import Path

from simtrain.errors import ConfigError, nearest

_FOLDER = Path(__file__).parent.parent / "recipes"


def recipes() -> dict[str, str]:
    """Name of each recipe, in the order of the alphabet, and what it is for: the first sentence of its comment."""
    return {path.stem: _purpose(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.yaml"))}


def recipe_path(name: str) -> Path:
    """The YAML file of a recipe.

    Raises:
        ConfigError: if there is none of that name.
    """
    names = [path.stem for path in _FOLDER.glob("*.yaml")]
    if name not in names:
        raise ConfigError(f"--recipe {name}: no such recipe{nearest(name, names)}\nall of them: simtrain list recipes")
    return _FOLDER / f"{name}.yaml"


def _purpose(text: str) -> str:
    """The comment at the top of a YAML file up to its first full stop or colon that ends a clause."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#") or line.startswith("#   "):
            break
        lines.append(line.removeprefix("#").strip())
    comment = " ".join(lines)
    ends = [place for sign in (". ", "; ") if (place := comment.find(sign)) >= 0]
    return comment[: min(ends)] if ends else comment.removesuffix(".")
