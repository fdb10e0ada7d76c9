"""The table and the lines that a run leaves."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from pytorch_lightning.callbacks import LambdaCallback
from recording_console import RecordingConsole
from tiny_training import Shop, bare_trainer, draw_shop, noise_batch

from simtrain.console import SILENT, Console
from simtrain.errors import CheckpointError
from simtrain.training import epoch_table as progress
from simtrain.training.epoch_table import EpochLog, read_metrics
from simtrain.training.file_names import METRICS_FILE

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
]
FIRST = {"map_at_r": 0.25, "recall_at_1": 0.5}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return draw_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is half a second after the one before."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: next(ticks) / 2))


def train(
    shop: Shop, folder: Path, *, epochs: int = 2, validate: bool = True, console: Console = SILENT
) -> list[dict[str, str]]:
    """The rows after epochs of 4 batches of 4 pairs."""
    monitor, first = ("val_map_at_r", FIRST) if validate else (None, {})
    log = EpochLog(folder=folder, monitor=monitor, parts=[], first=first, console=console)
    trainer = bare_trainer(folder, callbacks=[log], max_epochs=epochs)
    trainer.fit(shop.module(validate=validate), datamodule=shop.data(validate=validate))
    return read_metrics(folder / METRICS_FILE)


def test_row_zero_is_the_untouched_encoder(shop: Shop, tmp_path: Path) -> None:
    row = train(shop, tmp_path)[0]
    assert {name: value for name, value in row.items() if value} == {
        "epoch": "0",
        "step": "0",
        "val_map_at_r": "0.25",
        "val_recall_at_1": "0.5",
    }


def test_there_is_one_row_for_each_epoch(shop: Shop, tmp_path: Path) -> None:
    rows = train(shop, tmp_path, epochs=3)
    assert [(row["epoch"], row["step"]) for row in rows] == [("0", "0"), ("1", "4"), ("2", "8"), ("3", "12")]


def test_the_leading_columns_come_first(shop: Shop, tmp_path: Path) -> None:
    train(shop, tmp_path)
    header = (tmp_path / METRICS_FILE).read_text().splitlines()[0]
    assert header.startswith(
        "epoch,step,train_loss,learning_rate,images_per_second,seconds,val_map_at_r,val_recall_at_1,"
    )


def test_a_row_holds_the_figures_that_were_logged(shop: Shop, tmp_path: Path) -> None:
    found = []

    def look(trainer: object, module: object) -> None:
        found.append({name: float(value) for name, value in trainer.callback_metrics.items()})

    log = EpochLog(folder=tmp_path, monitor="val_map_at_r", parts=[], first=FIRST, console=SILENT)
    trainer = bare_trainer(tmp_path, callbacks=[log, LambdaCallback(on_train_epoch_end=look)], max_epochs=2)
    trainer.fit(shop.module(), datamodule=shop.data())
    for row, figures in zip(read_metrics(tmp_path / METRICS_FILE)[1:], found, strict=True):
        for name in ("train_loss", "val_map_at_r", "val_mrr", "val_recall_at_10"):
            assert float(row[name]) == pytest.approx(figures[name], rel=1e-5)


def test_the_rate_of_images_leaves_the_validation_out(shop: Shop, tmp_path: Path) -> None:
    # 4 batches of 8 images; one look at the clock as the epoch begins, and one after each batch.
    rows = train(shop, tmp_path, epochs=1)
    assert float(rows[1]["images_per_second"]) == pytest.approx(32 / (4 * 0.5), rel=1e-3)


def test_rows_after_the_resumed_epoch_are_dropped(shop: Shop, tmp_path: Path) -> None:
    old = "epoch,step,train_loss,val_map_at_r\n0,0,,0.25\n1,4,1.5,0.3\n2,8,1.4,0.4\n"
    (tmp_path / METRICS_FILE).write_text(old)
    log = EpochLog(folder=tmp_path, monitor="val_map_at_r", parts=[], first=FIRST, console=SILENT)
    log.on_train_start(SimpleNamespace(current_epoch=1, is_global_zero=True), None)
    assert [(row["epoch"], row["train_loss"]) for row in read_metrics(tmp_path / METRICS_FILE)] == [
        ("0", ""),
        ("1", "1.5"),
    ]


def test_a_run_from_the_start_keeps_no_row_of_an_earlier_one_but_the_first(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / METRICS_FILE).write_text("epoch,step,train_loss,val_map_at_r\n0,0,,0.25\n1,4,1.5,0.3\n")
    rows = train(shop, tmp_path, epochs=1)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert rows[1]["train_loss"] != "1.5"


def test_a_line_for_each_epoch(shop: Shop, tmp_path: Path) -> None:
    lines: list[str] = []
    rows = train(shop, tmp_path, console=RecordingConsole(on_line=lines.append))[1:]
    assert lines == [
        f"epoch {row['epoch']}/2  loss {float(row['train_loss']):.4f}  val_map_at_r {float(row['val_map_at_r']):.3f} "
        f"(zero-shot 0.250)  {float(row['images_per_second']):.0f} images/s"
        for row in rows
    ]


def test_without_validation_there_are_no_figures_of_it(shop: Shop, tmp_path: Path) -> None:
    lines: list[str] = []
    (first, row) = train(shop, tmp_path, epochs=1, validate=False, console=RecordingConsole(on_line=lines.append))
    assert list(row) == ["epoch", "step", "train_loss", "learning_rate", "images_per_second", "seconds"]
    assert [first["epoch"], first["train_loss"]] == ["0", ""]
    assert lines == [f"epoch 1/1  loss {float(row['train_loss']):.4f}  {float(row['images_per_second']):.0f} images/s"]


def test_nothing_but_the_table_is_left(shop: Shop, tmp_path: Path) -> None:
    train(shop, tmp_path, epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == [METRICS_FILE]


def test_a_table_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / METRICS_FILE) == []


@pytest.mark.parametrize(
    "content", ["<html>\nx\n", "epoch,step\n1,2,3\n", "epoch,step\nx,1\n", 'epoch,step\n1,"2\n', "epoch\n\xff\n"]
)
def test_a_damaged_table_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.csv").write_text(content, encoding="latin-1")
    with pytest.raises(
        CheckpointError, match=r"metrics\.csv: damaged: .*; move it away to go on without the figures so far$"
    ):
        read_metrics(tmp_path / "metrics.csv")


def test_each_batch_tells_how_far_the_run_is(shop: Shop, tmp_path: Path) -> None:
    console = RecordingConsole()
    log = EpochLog(folder=tmp_path, monitor=None, parts=[], first={}, console=console)
    trainer = bare_trainer(tmp_path, callbacks=[log], max_epochs=2)
    trainer.fit(shop.module(validate=False), datamodule=shop.data(validate=False))
    assert [(step.epoch, step.epochs, step.batch, step.batches) for step in console.steps] == [
        (epoch, 2, batch, 4) for epoch in (1, 2) for batch in (1, 2, 3, 4)
    ]
    assert console.steps[0].images_per_second == pytest.approx(8 / 0.5)


def test_only_the_first_process_writes_and_speaks(shop: Shop, tmp_path: Path) -> None:
    console = RecordingConsole()
    log = EpochLog(folder=tmp_path, monitor=None, parts=[], first={}, console=console)
    second = SimpleNamespace(
        is_global_zero=False, world_size=2, current_epoch=0, callback_metrics={"train_loss": 1.0}, max_epochs=1
    )
    log.on_train_start(second, None)
    log.on_train_batch_end(second, None, None, noise_batch(samples=2, views=2), 0)
    log.on_train_epoch_end(second, None)
    assert (list(tmp_path.iterdir()), console.lines, console.steps) == ([], [], [])


def test_the_rate_counts_the_images_of_all_processes(tmp_path: Path) -> None:
    console = RecordingConsole()
    log = EpochLog(folder=tmp_path, monitor=None, parts=[], first={}, console=console)
    first = SimpleNamespace(
        is_global_zero=True, world_size=4, current_epoch=0, max_epochs=1, num_training_batches=1, callback_metrics={}
    )
    log.on_train_start(first, None)
    log.on_train_batch_end(first, None, None, noise_batch(samples=3, views=2), 0)
    assert console.steps[0].images_per_second == pytest.approx(4 * 6 / 0.5)


def test_the_line_shows_what_a_balanced_score_is_made_of(shop: Shop, tmp_path: Path) -> None:
    lines: list[str] = []
    log = EpochLog(
        folder=tmp_path,
        monitor="val_balanced",
        parts=["map_at_r", "recall_at_1"],
        first={"balanced": 0.5},
        console=RecordingConsole(on_line=lines.append),
    )
    bare_trainer(tmp_path, callbacks=[log], max_epochs=1).fit(shop.module(), datamodule=shop.data())
    row = read_metrics(tmp_path / METRICS_FILE)[1]
    figures = {name: float(row[f"val_{name}"]) for name in ("balanced", "map_at_r", "recall_at_1")}
    expected = (
        f"val_balanced {figures['balanced']:.3f} (zero-shot 0.500) from map_at_r {figures['map_at_r']:.3f}, "
        f"recall_at_1 {figures['recall_at_1']:.3f}"
    )
    assert expected in lines[0]
