"""Commands that are killed, that a disk has no room for, and that meet another one: what is there afterwards."""

import shutil
from pathlib import Path

import pytest
from disturbed_commands import (
    VERBS,
    CommandProcess,
    Disturbance,
    Verb,
    changes_of,
    differences,
    faults_after_error,
    faults_after_kill,
    make_world,
    renewed,
    snapshot,
)

pytestmark = pytest.mark.slow


class World:
    """A working folder that each test finds as it was at first."""

    def __init__(self, folder: Path) -> None:
        self.log, self.folder, self._pristine = folder / "log", folder / "world", folder / "pristine"
        make_world(self.folder, log=self.log)
        shutil.copytree(self.folder, self._pristine)
        self.old = snapshot(self._pristine)
        self._undisturbed: dict[str, tuple[list[str], dict[str, bytes]]] = {}

    def undisturbed(self, verb: Verb) -> tuple[list[str], dict[str, bytes]]:
        """What an undisturbed call changes, and what is there after it."""
        if verb.name not in self._undisturbed:
            changes = changes_of(self.renewed(), verb, log=self.log)
            self._undisturbed[verb.name] = changes, snapshot(self.folder)
        return self._undisturbed[verb.name]

    def renewed(self) -> Path:
        return renewed(self._pristine, self.folder)

    def begin(self, verb: Verb, disturbance: Disturbance, *, log: str = "log") -> CommandProcess:
        return CommandProcess(self.folder, verb.arguments, log=self.log.with_name(log), disturbance=disturbance)

    def faults_of_next_call(self, verb: Verb) -> list[str]:
        ended = CommandProcess(self.folder, verb.again(self.folder), log=self.log).ended()
        if not verb.is_done(ended):
            return [f"the next call ended with {ended.status}: {ended.shown[-300:]}"]
        return differences(snapshot(self.folder), self.undisturbed(verb)[1])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("disturbed"))


@pytest.mark.parametrize("name", VERBS)
def test_killed_before_its_last_rename(world: World, name: str) -> None:
    verb = VERBS[name]
    changes, new = world.undisturbed(verb)
    at = max(number for number, change in enumerate(changes, 1) if change.startswith(("os.rename", "exchange")))
    world.renewed()
    assert world.begin(verb, Disturbance(kill_at=at)).ended().status == -9
    assert faults_after_kill(verb, old=world.old, new=new, now=snapshot(world.folder)) == []
    assert world.faults_of_next_call(verb) == []


@pytest.mark.parametrize("name", VERBS)
def test_no_room_for_a_file(world: World, name: str) -> None:
    verb = VERBS[name]
    _, new = world.undisturbed(verb)
    world.renewed()
    ended = world.begin(verb, Disturbance(largest_file=1000)).ended()
    assert ended.status == 2
    assert faults_after_error(verb, ended, world.folder, old=world.old, new=new) == []
    assert world.faults_of_next_call(verb) == []


_CHANGED = "kept: is being changed by process "
ANOTHER = {
    "embed": "embedded: another simtrain ",
    "index update": _CHANGED,
    "index add": _CHANGED,
    "index remove": _CHANGED,
    "prepare": "again: another simtrain prepare (process ",
    "prepare synthetic": "rendered: another simtrain prepare (process ",
    "fit": "checkpoints/new: another simtrain fit has begun this run meanwhile; name another with --set run=NAME",
}


@pytest.mark.parametrize("name", VERBS)
def test_two_at_once(world: World, name: str) -> None:
    verb = VERBS[name]
    _, new = world.undisturbed(verb)
    world.renewed()
    both = [world.begin(verb, Disturbance(), log=f"log {number}") for number in range(2)]
    ends = [process.ended() for process in both]
    assert 0 in [end.status for end in ends], ends
    for end in ends:
        assert verb.is_done(end) or (end.status == 2 and f"error: {ANOTHER[name]}" in end.shown)
    assert differences(snapshot(world.folder), new) == []
