"""The report of a comparison as data."""

import json
from dataclasses import replace

import pytest
from tiny_comparison import encoder, tiny_comparison


def test_an_untrained_encoder_that_beats_the_baseline_is_named() -> None:
    report = tiny_comparison(baseline="clip", run="tuned")
    better = [
        encoder(name, "whitened", quality=0.9, baseline="clip", word="better", difference=0.1)
        for name in ("pixels_whitened", "lab_whitened")
    ]
    kept = [one for one in report.encoders if one.kind in ("chance", "run") or one.name == "clip"]
    relevance = report.relevance[0]
    one, two = (replace(report, encoders=[*kept, *better[:count]]).hints()[0] for count in (1, 2))
    assert one == (
        f"By {relevance} pixels_whitened, which no run has trained, is better than clip too: --baseline "
        "pixels_whitened judges the others against it."
    )
    assert two.startswith(f"By {relevance} pixels_whitened and lab_whitened, which no run has trained, are better than")
    assert replace(report, encoders=kept).hints() == []


def test_verdicts_on_runs_come_first() -> None:
    report = tiny_comparison()
    kinds = [report.encoder(verdict.encoder).kind for verdict in report.verdicts()]
    assert kinds == sorted(kinds, key=lambda kind: kind != "run")
    assert "run" in kinds


def test_an_encoder_that_takes_no_part_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        tiny_comparison().encoder("nobody")


def test_plain_values_leave_the_pictures_out() -> None:
    plain = json.loads(json.dumps(tiny_comparison().to_dict()))
    assert "pictures" not in plain
    assert len(plain["verdicts"]) == len(tiny_comparison().verdicts())
