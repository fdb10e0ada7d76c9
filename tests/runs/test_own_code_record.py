"""What a run records of the user's own code."""

from pathlib import Path

from own_modules import OwnModule
from small_configs import config_of

from simtrain.own_code import import_target
from simtrain.runs.own_code_record import changed_code, code_of_run


def test_a_run_without_own_code_records_nothing():
    assert code_of_run(config_of({"kind": "triplet"})) == {}
    assert changed_code({}) == []


def test_a_file_that_has_changed_since_is_told(tmp_path: Path):
    with OwnModule(tmp_path).importable() as module:
        import_target(module.target("contrast"))
        record = code_of_run(config_of({"kind": "python", "target": module.target("contrast")}))
    assert record["code"]["objective"]["target"] == module.target("contrast")
    assert record["code"]["objective"]["instance"] is False
    assert changed_code(record) == []
    file = tmp_path / f"{module.name}.py"
    file.write_text("changed = 1\n")
    assert changed_code(record) == [
        f"warning: objective: {file} ({module.target('contrast')}) has changed since the run began"
    ]
    file.unlink()
    assert changed_code(record) == []
