"""Mutated files through the real command line: a line and status 2, or a result; never a traceback, never a bug."""

from pathlib import Path

import pytest
from fuzzed_artifacts import Target, make_artifacts, targets, try_mutation
from fuzzed_bundles import Watch, make_bundles, try_bundle
from small_commands import Command

pytestmark = pytest.mark.slow

MUTATIONS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the artifacts, which every test leaves as they were."""
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture
def artifacts(simtrain: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    monkeypatch.chdir(folder)
    if not any(folder.iterdir()):
        make_artifacts(simtrain)
    return targets()


def test_mutated_files_end_in_a_line(simtrain: Command, artifacts: list[Target]) -> None:
    wrong, refused = [], 0
    for target in artifacts:
        for seed in range(MUTATIONS):
            status, shown = try_mutation(target, seed, simtrain)
            refused += status == 2
            long = status == 2 and len(shown.splitlines()) > 10
            if status not in (0, 2) or "Traceback" in shown or long:
                wrong.append((target.file, seed, status, shown[-400:]))
    assert wrong == []
    assert refused > MUTATIONS * len(artifacts) // 3


@pytest.mark.parametrize("file", ["checkpoints/shop/run.json", "bundle/manifest.json"])
def test_whole_files_are_no_error(simtrain: Command, artifacts: list[Target], file: str) -> None:
    target = next(target for target in artifacts if target.file == file)
    assert simtrain(*target.arguments)[0] == 0


def test_mutated_bundles_run_nothing_and_end_in_a_line(simtrain: Command) -> None:
    make_bundles(simtrain)
    watch, wrong = Watch(), []
    watch.start()
    for seed in range(10 * MUTATIONS):
        status, shown, ran = try_bundle(seed, simtrain, watch)
        if status not in (0, 2) or "Traceback" in shown or ran:
            wrong.append((seed, status, ran, shown[-400:]))
    assert wrong == []
