"""Reference embeddings: of the training images, half as long, and the same when a run goes on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_clip_runs import MakeConfig

from simtrain.console import SILENT
from simtrain.errors import CheckpointError
from simtrain.runs import reference_embeddings as module
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.preparation import prepare_run
from simtrain.runs.reference_embeddings import REFERENCE_FILE, reference_embeddings, save_reference
from simtrain.runs.session import RunSession
from simtrain.training.ranks import SINGLE_PROCESS

SIMCLR = {"kind": "simclr", "false_negatives": {"max_similarity": 0.9}}


@pytest.fixture
def session(make_config: MakeConfig) -> RunSession:
    config = make_config(objective=SIMCLR, trainer={"accelerator": "cpu"})
    return prepare_run(config, SINGLE_PROCESS, resume=False, console=SILENT)


def test_they_are_of_the_training_images_whatever_the_blocks(
    session: RunSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_IMAGES_AT_ONCE", session.config.evaluation.batch_size)
    found = reference_embeddings(session)
    assert found is not None
    rows = session.catalog.rows_of(["train"])
    expected = embed_rows(session.encoder, session.images.reader, rows.tolist(), config=session.config, console=SILENT)
    assert (found.dtype, len(found)) == (torch.float16, len(session.catalog.rows))
    assert torch.equal(found[torch.from_numpy(rows)], expected.half())
    others = session.catalog.rows_of(["val", "test"])
    assert not found[torch.from_numpy(others)].any()


def test_a_run_that_goes_on_reads_them(session: RunSession, tmp_path: Path) -> None:
    first = reference_embeddings(session)
    assert first is not None
    save_reference(first, tmp_path)
    later = replace(session, begins=False, folder=tmp_path)
    again = reference_embeddings(later)
    assert again is not None
    assert torch.equal(first, again)
    (tmp_path / REFERENCE_FILE).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"untouched_embeddings\.safetensors: cannot be read: "):
        reference_embeddings(later)


def test_no_file_is_left(session: RunSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    assert reference_embeddings(session) is not None
    assert list(tmp_path.iterdir()) == []
