"""Another catalogue that shows pictures which a run was trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from recording_console import RecordingConsole

from simtrain.catalog.table import Catalog, read_catalog, write_catalog
from simtrain.commands.evaluate import evaluate
from simtrain.runs.run import Run, open_run
from simtrain.runs.seen_pictures import seen_pictures_line


def test_pictures_that_a_run_was_trained_on_are_told_in_another_catalogue(clip_run: Run, tmp_path: Path) -> None:
    own = read_catalog(Path(clip_run.record["data"]["catalog"]))
    swapped = own.rows.assign(split=own.rows["split"].replace({"train": "test", "test": "train"}))
    other = Catalog(rows=swapped, root=own.root, folder=tmp_path)
    write_catalog(other)
    seen, unseen = (np.flatnonzero(swapped["split"] == split) for split in ("test", "train"))
    line = f"warning: {clip_run.name} was trained on the pictures of {len(seen)} of {len(seen)} queries: "
    assert (seen_pictures_line(clip_run, other, seen) or "").startswith(line)
    assert seen_pictures_line(clip_run, other, unseen) is None
    assert seen_pictures_line(clip_run, own, seen) is None
    console = RecordingConsole()
    run = open_run(str(clip_run.folder), checkpoints=Path(), overrides=[f"catalog={tmp_path}"])
    evaluate(run.config, run=run, split="test", alpha=None, console=console)
    assert [told for told in console.lines if told.startswith(line)]
    data = {"catalog": str(tmp_path / "gone"), "sha256": ""}
    gone = replace(clip_run, own_catalog="gone", record={**clip_run.record, "data": data})
    assert "is no longer what it was trained on" in (seen_pictures_line(gone, other, seen) or "")
