"""Decoding in other processes: the same pixels, and what happens where a process takes too long or dies."""

import io
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.serving.app import decoding
from simtrain.serving.app.decoding import DecodingProcesses
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.settings import usual_limits
from simtrain.serving.app.uploads import decoded_upload

LIMITS = usual_limits(upload_megabytes=0.2, megapixels=1, seconds=60)
PREPARED = Preprocessing(
    image_size=8, resize="pad", interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(1, 1, 1), flip_averaging=True
)


@pytest.fixture
def processes() -> Iterator[DecodingProcesses]:
    made = DecodingProcesses(count=1, limits=LIMITS)
    yield made
    made.close()


def picture(*, width: int = 40, height: int = 30) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def test_pixels_and_refusals_are_those_of_this_process(processes: DecodingProcesses) -> None:
    data = picture()
    expected = PREPARED.pixels(decoded_upload(data, limits=LIMITS))
    np.testing.assert_array_equal(processes.pixels(data, PREPARED), expected)
    for wrong in (b"no picture", data[:200], data + bytes(300_000), picture(width=2000, height=600)):
        with pytest.raises(RequestError) as here:
            decoded_upload(wrong, limits=LIMITS)
        with pytest.raises(RequestError) as there:
            processes.pixels(wrong, PREPARED)
        assert (str(there.value), there.value.status) == (str(here.value), here.value.status)
    np.testing.assert_array_equal(processes.pixels(data, PREPARED), expected)


def test_a_process_that_takes_too_long_is_ended_and_another_goes_on(
    processes: DecodingProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    popen = decoding.subprocess.Popen

    def noted(*arguments: object, **settings: object) -> object:
        process = popen(*arguments, **settings)  # type: ignore[call-overload]  # what it is called with goes on
        started.append(process.pid)
        return process

    monkeypatch.setattr(decoding.subprocess, "Popen", noted)
    with monkeypatch.context() as patched:
        patched.setattr(decoding, "_CHILD", "import time; time.sleep(1000)")
        quick = DecodingProcesses(count=1, limits=replace(LIMITS, seconds=0.2))
        with pytest.raises(RequestError, match=r"^image: takes more than 0\.1 s to decode$") as caught:
            quick.pixels(picture(), PREPARED)
    assert caught.value.status == 422
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)
    assert processes.pixels(picture(), PREPARED).shape == (8, 8, 3)
    os.kill(started[1], signal.SIGKILL)  # while it waits for work: the next picture is not to blame
    os.waitid(os.P_PID, started[1], os.WEXITED | os.WNOWAIT)
    assert processes.pixels(picture(), PREPARED).shape == (8, 8, 3)
    assert len(started) == 3


def test_a_picture_that_ends_its_process_is_refused(
    processes: DecodingProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(decoding, "_CHILD", "import sys; sys.exit(1)")
        with pytest.raises(RequestError, match=r"^image: a picture that ends its decoder$"):
            processes.pixels(picture(), PREPARED)
    assert processes.pixels(picture(), PREPARED).shape == (8, 8, 3)


def test_a_process_that_was_started_before_decodes_the_first_picture(
    processes: DecodingProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(decoding, "_CHILD", "import sys; sys.exit(1)")
        processes.start(PREPARED)  # which fails: the next one is tried
    processes.start(PREPARED)
    monkeypatch.setattr(decoding, "_CHILD", "no process is started any more")
    assert processes.pixels(picture(), PREPARED).shape == (8, 8, 3)
