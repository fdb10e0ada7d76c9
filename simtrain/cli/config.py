"""`simtrain config`: arguments and output."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import RecipeOption, SetOption, expanded, named_config
from simtrain.errors import SimtrainError


def show_config(
    config: Annotated[
        Path | None, typer.Argument(callback=expanded, metavar="CONFIG.yaml", help="YAML file of a run.")
    ] = None,
    recipe: RecipeOption = None,
    overrides: SetOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema, for editors.")] = False,
) -> None:
    """Print a configuration with every default filled in, or its JSON schema."""
    from simtrain.config import RunConfig, dump_yaml, load_run_config

    if schema:
        print(json.dumps(RunConfig.model_json_schema(), indent=2))
        return
    path = named_config(config, recipe)
    if path is None:
        raise SimtrainError("config: give a CONFIG.yaml, --recipe NAME, or --schema")
    print(dump_yaml(load_run_config(path, overrides or [])), end="")
