"""`simtrain config`: arguments and output."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import RecipeOption, SetOption, expanded, named_config
from simtrain.errors import SimtrainError, nearest


def show_config(
    config: Annotated[
        Path | None,
        typer.Argument(
            callback=expanded,
            metavar="CONFIG.yaml",
            help="YAML file of a run; with --schema: run, prepare or compare.",
        ),
    ] = None,
    recipe: RecipeOption = None,
    overrides: SetOption = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Say what a key or section holds and does, such as trainer.freeze, of any command."
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema, for editors; --schema prepare, --schema compare.")
    ] = False,
    reference: Annotated[bool, typer.Option("--reference", help="Print every setting as a page of Markdown.")] = False,
) -> None:
    """Print a configuration with every default filled in, what a key means, or the schema."""
    from simtrain.config import dump_yaml, load_run_config

    if sum((schema, reference, explain is not None)) > 1:
        raise SimtrainError("config: give one of --explain KEY, --schema and --reference")
    if schema:
        print(_json_schema(config))
        return
    if explain is not None:
        from simtrain.config.explanation import explain as explained

        print(explained(explain))
        return
    if reference:
        from simtrain.config.reference import reference as page

        print(page(), end="")
        return
    path = named_config(config, recipe)
    if path is None:
        raise SimtrainError("config: give a CONFIG.yaml, --recipe NAME, --explain KEY, --schema or --reference")
    print(dump_yaml(load_run_config(path, overrides or [])), end="")


def _json_schema(name: Path | None) -> str:
    from simtrain.config.schemas import SCHEMAS

    word = "run" if name is None else str(name)
    if word not in SCHEMAS:
        raise SimtrainError(f"--schema {word}: no such schema{nearest(word, SCHEMAS)}; allowed: {', '.join(SCHEMAS)}")
    return json.dumps(SCHEMAS[word].model_json_schema(), indent=2)
