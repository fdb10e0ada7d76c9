"""Decoding of strangers' pictures in processes of their own, which are ended when they take too long."""

# Shapes: S = image_size.

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.settings import Limits
from simtrain.serving.app.uploads import decoded_upload

_WRONG = 422
_SHARE_OF_SECONDS = 0.5  # the rest is for the encoder and the index
_START_SECONDS = 60
_HEAD_BYTES = 4
_CHILD = "import sys; from simtrain.serving.app.decoding import decode_for; decode_for(int(sys.argv[1]))"


class DecodingProcesses:
    """Processes that decode and prepare pictures; each is started when it is first needed.

    Bounds of bytes and pixels do not bound the time: a file may tell a decoder to compute frames that are never shown.
    A process is killed then, and takes a decoder's crash upon itself.

    Args:
        count: Number of processes, 1 or more; no more threads call `pixels` at a time.
        limits: Bounds of bytes, pixels and time.
    """

    def __init__(self, *, count: int, limits: Limits) -> None:
        self._limits = limits
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)

    def start(self, preprocessing: Preprocessing) -> None:
        """Start a process before there is a picture, of whose time its start would be the larger part."""
        waiting, kept = self._idle.get(), None
        process = waiting or _Process()
        try:
            process.ask(b"", preprocessing, self._limits)
            if process.connection.poll(_START_SECONDS):
                process.answer()  # no picture is refused, by a process that is ready for one
                kept = process
        except (EOFError, OSError):
            pass  # a picture will start another one, and tell if that ends too
        finally:
            if kept is None:
                process.end()
            self._idle.put(kept)

    def pixels(self, data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
        """(S, S, 3) of an uploaded picture, decoded as `decoded_upload` and prepared for an encoder.

        Args:
            data: The file's bytes.
            preprocessing: Of the encoder.

        Raises:
            RequestError: as `decoded_upload`; with status 422 for a picture that takes too long or ends its process.
        """
        process, kept = self._idle.get(), None
        seconds = self._limits.seconds * _SHARE_OF_SECONDS
        try:
            if process is None or process.has_ended:
                process = _Process()
            process.ask(data, preprocessing, self._limits)
            if not process.connection.poll(seconds):
                raise RequestError(f"image: takes more than {seconds:g} s to decode", status=_WRONG)
            status, content = process.answer()
            kept = process
        except (EOFError, OSError):
            raise RequestError("image: a picture that ends its decoder", status=_WRONG) from None
        finally:
            if kept is None and process is not None:
                process.end()
            self._idle.put(kept)
        if status:
            raise RequestError(content.decode(errors="replace"), status=status)
        size = preprocessing.image_size
        return np.frombuffer(content, dtype=np.uint8).reshape(size, size, 3)

    def close(self) -> None:
        """End the processes, each when it is idle."""
        while not self._idle.empty():
            process = self._idle.get_nowait()
            if process is not None:
                process.end()


class _Process:
    """One process; what comes from it is bytes, in which nothing is executed."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the service, which answers what has begun
            )
            self.connection = Connection(ours.detach())

    def ask(self, data: bytes, preprocessing: Preprocessing, limits: Limits) -> None:
        """Send a picture."""
        asked = {"preprocessing": preprocessing.to_dict(), "limits": vars(limits)}
        self.connection.send_bytes(json.dumps(asked).encode())
        self.connection.send_bytes(data)

    def answer(self) -> tuple[int, bytes]:
        """0 and the pixels, or the status of a refusal and its words."""
        answer = self.connection.recv_bytes()
        return int.from_bytes(answer[:_HEAD_BYTES]), answer[_HEAD_BYTES:]

    @property
    def has_ended(self) -> bool:
        """Whether it was ended by somebody else."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self.connection.close()


def decode_for(descriptor: int) -> None:
    """Decode pictures for another process until it closes the connection.

    Args:
        descriptor: File descriptor of the connection.
    """
    with Connection(descriptor) as connection:
        while True:
            try:
                asked, data = json.loads(connection.recv_bytes()), connection.recv_bytes()
            except (EOFError, OSError):
                return
            preprocessing, limits = Preprocessing.from_dict(asked["preprocessing"]), Limits(**asked["limits"])
            try:
                pixels = preprocessing.pixels(decoded_upload(data, limits=limits))
                connection.send_bytes(bytes(_HEAD_BYTES) + np.ascontiguousarray(pixels).tobytes())
            except RequestError as error:
                connection.send_bytes(error.status.to_bytes(_HEAD_BYTES) + str(error).encode())
            except MemoryError:
                connection.send_bytes(_WRONG.to_bytes(_HEAD_BYTES) + b"image: takes too much memory to decode")
