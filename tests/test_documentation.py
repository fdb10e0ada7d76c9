"""The README and the pages under docs/: what they show can be typed, every key exists, and links lead somewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from documented_commands import PAGES, ROOT, anchors, blocks, commands, keys_set, links, named

from simtrain import cli
from simtrain.config import CompareConfig, PrepareConfig, RunConfig
from simtrain.config.schema_keys import models_of

SCHEMAS = (RunConfig, PrepareConfig, CompareConfig)
ANY = "key"  # stands for any key


@pytest.fixture(scope="module")
def program() -> typer.core.TyperGroup:
    found = typer.main.get_command(cli.app)
    assert isinstance(found, typer.core.TyperGroup)
    return found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_can_be_typed_as_they_stand(page: Path, program: typer.core.TyperGroup):
    for words in [command for text in blocks(page, "sh") for command in commands(text)]:
        parsed(program, words)


def parsed(program: typer.core.TyperGroup, words: list[str]) -> None:
    name, *rest = words
    command = program.commands[name]
    if isinstance(command, typer.core.TyperGroup) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(name, rest)  # an option that is unknown or lacks its value raises here


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_keys_that_are_set_exist(page: Path):
    keys = [key for key in keys_set(page) if key != ANY]
    assert [key for key in keys if not any(has(schema, key.split(".")) for schema in SCHEMAS)] == []


def has(schema: type, names: list[str]) -> bool:
    sections = [schema]
    for name in names[:-1]:
        fields = [section.model_fields[name] for section in sections if name in section.model_fields]
        sections = [model for field in fields for model in models_of(field.annotation)]
    return any(names[-1] in section.model_fields for section in sections)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_readme_is_short_and_every_page_is_in_the_site():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert {page for page in pages if f" {page}\n" not in site} == set()


@pytest.mark.slow
def test_site_is_built_without_a_warning(tmp_path: Path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    page = (tmp_path / "site" / "python" / "index.html").read_text(encoding="utf-8")
    assert 'id="simtrain.api.fit.fit"' in page
    assert "fonts.googleapis" not in page
