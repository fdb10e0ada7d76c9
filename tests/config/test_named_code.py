"""Sections that name code: where they came from, whether it is allowed, and objects in memory."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from simtrain.config import NamedCode, PythonEncoderConfig, load_run_config, parse_run_config
from simtrain.errors import ConfigError
from simtrain.own_code import CodeNotAllowedError, code_allowed

SECTION = {"kind": "python", "target": "my_package.module:MyEncoder"}
TREE = {"catalog": "shop", "encoder": SECTION, "objective": {"kind": "simclr"}}


def section(**changes: Any) -> PythonEncoderConfig:
    return PythonEncoderConfig.model_validate({**SECTION, **changes})


def test_the_refusal_names_the_file_the_code_and_the_permission(tmp_path: Path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(TREE))
    encoder = load_run_config(path, []).encoder
    assert isinstance(encoder, NamedCode)
    with pytest.raises(CodeNotAllowedError) as caught:
        encoder.check_allowed()
    assert str(caught.value) == (
        f"target: {path} names the code my_package.module:MyEncoder, which is imported only if you allow it: "
        "allow_code=True"
    )


def test_what_is_read_where_code_is_allowed_stays_allowed_also_copied_and_in_another_process():
    with code_allowed(True):
        encoder = parse_run_config(TREE, where="x").encoder
    for one in (encoder, encoder.model_copy(update={"image_size": 64}), pickle.loads(pickle.dumps(encoder))):
        assert isinstance(one, NamedCode)
        one.check_allowed()


def test_what_was_read_before_is_allowed_within_alone():
    encoder = section()
    with code_allowed(True):
        encoder.check_allowed()
    with pytest.raises(CodeNotAllowedError):
        encoder.check_allowed()


def test_permission_and_objects_are_in_no_file():
    with code_allowed(True):
        held = section().holding(object())
    assert set(held.model_dump()) == set(PythonEncoderConfig.model_fields)
    with pytest.raises(CodeNotAllowedError):
        PythonEncoderConfig.model_validate(held.model_dump()).check_allowed()


def test_an_object_needs_no_permission_and_the_first_section_stays_without():
    before = section()
    before.holding(object()).check_allowed()
    with pytest.raises(CodeNotAllowedError):
        before.check_allowed()


def test_a_section_of_the_same_code_takes_permission_and_object_over():
    thing = object()
    with code_allowed(True):
        held = section().holding(thing)
    again = section().like(held)
    assert again.handed_over is thing
    again.check_allowed()
    for other in (section(target="other:Code").like(held), section().like(None)):
        assert other.handed_over is None
        with pytest.raises(CodeNotAllowedError):
            other.check_allowed()


def test_an_object_that_is_gone_is_asked_for_again():
    with code_allowed(True), pytest.raises(ConfigError) as caught:
        section(instance=True).check_allowed()
    assert str(caught.value).startswith(
        "target: a configuration: an object of my_package.module:MyEncoder was handed over in Python, which its name "
        "cannot make again; hand it over again: simtrain.open_run(RUN, encoder=…)"
    )


@pytest.mark.parametrize("target", ["my_package", "my_package:", ":MyEncoder", "a:b:c", "my module:X"])
def test_a_target_is_a_module_and_a_name(target: str):
    with pytest.raises(ConfigError, match=r"^x: encoder\.target: got "):
        parse_run_config({**TREE, "encoder": {**SECTION, "target": target}}, where="x")
