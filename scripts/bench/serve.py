"""Measures `simtrain serve` under load beside the bare encoder, and sends it hostile uploads.

    python scripts/bench/serve.py BUNDLE IMAGES [--clients 32] [--requests 10000] [--hostile 1000] [--seconds 2]

BUNDLE has `encoder.onnx`; IMAGES is a folder of pictures, at most 200 of which are sent in turn. The bare encoder
embeds the same pictures in batches of 16, already decoded and prepared (`encoder alone`), and from their files (`with
decoding`). Wall times of a machine that does other work say little; processor times per picture say more, so both are
printed. The clients run in this process and take processor time too, which is told.
"""

import argparse
import asyncio
import io
import json
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from simtrain.catalog.images import decode_image
from simtrain.serving.bundle import Bundle
from simtrain.serving.onnx_query_encoder import onnx_query_encoder

BATCH, MOST_PICTURES, SLOW = 16, 200, 20
BOUNDARY = "-a-boundary-"


@dataclass(frozen=True)
class Speed:
    """Pictures in a second, and processor milliseconds of a picture."""

    rate: float
    processor: float

    def __str__(self) -> str:
        return f"{self.rate:7.1f} images/s, {self.processor:6.1f} ms of processor time an image"


def bare_encoder(bundle: Bundle, files: list[bytes], *, count: int, decoding: bool) -> Speed:
    """The encoder without a service."""
    encoder = onnx_query_encoder(bundle)
    prepare = encoder.preprocessing.pixels
    prepared = [prepare(decode_image(file, at_least=None).pixels) for file in files]
    encoder.embed_pixels(np.stack(prepared[:BATCH]))
    began, used, done = time.perf_counter(), processor_seconds(resource.RUSAGE_SELF), 0
    while done < count:
        places = [(done + number) % len(files) for number in range(BATCH)]
        if decoding:
            batch = [prepare(decode_image(files[place], at_least=None).pixels) for place in places]
        else:
            batch = [prepared[place] for place in places]
        encoder.embed_pixels(np.stack(batch))
        done += BATCH
    spent = processor_seconds(resource.RUSAGE_SELF) - used
    return Speed(done / (time.perf_counter() - began), 1000 * spent / done)


def processor_seconds(whose: int) -> float:
    """Processor seconds of this process, or of its children that have ended."""
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def request_of(file: bytes, *, path: str = "/api/search?k=10") -> bytes:
    """A whole upload over HTTP."""
    body = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n'
        "content-type: application/octet-stream\r\n\r\n"
    ).encode()
    body += file + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer_of(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, whose body is read."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next((int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0)
    await reader.readexactly(length)
    return int(lines[0].split()[1])


async def load(port: int, requests: list[bytes], *, clients: int, count: int) -> tuple[list[float], Counter[int]]:
    """Seconds of each request, and how often each status came; every client keeps its connection."""
    seconds, statuses, left = [], Counter[int](), iter(range(count))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            began = time.perf_counter()
            writer.write(requests[number % len(requests)])
            statuses[await answer_of(reader)] += 1
            seconds.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return seconds, statuses


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG that claims a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def hostile_uploads(file: bytes) -> dict[str, bytes]:
    """Kind -> what is sent; each has to be refused."""
    picture = Image.open(io.BytesIO(file)).convert("RGB")

    def saved(kind: str) -> bytes:
        into = io.BytesIO()
        picture.save(into, format=kind)
        return into.getvalue()

    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><image href='file:///etc/passwd'/></svg>"
    jpeg = saved("JPEG")
    return {
        "truncated JPEG": request_of(jpeg[: len(jpeg) // 8]),
        "truncated PNG": request_of(saved("PNG")[:300]),
        "truncated WebP": request_of(saved("WEBP")[:40]),
        "bomb of 60,000 by 60,000 pixels": request_of(png(60000, 60000, bytes(1_000_000))),
        "bomb of 8,100 by 8,000 pixels": request_of(png(8100, 8000, bytes(1_000_000))),
        "PNG without its pixels": request_of(png(4000, 4000, bytes(1000))),
        "JPEG of 200 scans": request_of(jpeg[:300] + b"\xff\xda" * 200),
        "25 MB": request_of(b"\xff\xd8\xff" + bytes(25_000_000)),
        "SVG": request_of(svg),
        "SVG behind a GIF's first bytes": request_of(b"GIF89a/*" + svg),
        "ZIP behind a JPEG's first bytes": request_of(b"\xff\xd8\xff\xe0" + b"PK\x03\x04" * 500),
        "program": request_of(b"\x7fELF" + bytes(5000)),
        "PostScript": request_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n"),
        "TIFF": request_of(saved("TIFF")),
        "nothing": request_of(b""),
        "no form": b"POST /api/search HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\n"
        b"content-length: 9\r\n\r\n--x broken",
        "head of 78 kB": b"GET /api/search?" + b"filter=a%3Db&" * 6000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "id of another file": b"GET /api/picture?id=../../../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "path of another file": b"GET /../../../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n",
    }


async def attack(port: int, file: bytes, *, count: int, clients: int) -> dict[str, Counter[str]]:
    """Kind -> how often each status came; `reset` where the connection ended without one."""
    kinds = hostile_uploads(file)
    found = {kind: Counter[str]() for kind in (*kinds, "slow sender")}
    slow = b"POST /api/search HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5000\r\n\r\nx"
    names = list(kinds)
    sent = [(names[number % len(names)], False) for number in range(max(0, count - SLOW))]
    left = iter([("slow sender", True)] * min(SLOW, count) + sent)

    async def client() -> None:
        for kind, is_slow in left:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(slow if is_slow else kinds[kind])
                found[kind][str(await asyncio.wait_for(answer_of(reader), 120))] += 1
            except (ConnectionError, asyncio.IncompleteReadError):
                found[kind]["reset"] += 1
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return found


async def status_of(port: int, path: str) -> int:
    """The status of a path."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    status = await answer_of(reader)
    writer.close()
    return status


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    for name, default in (("clients", 32), ("requests", 10_000), ("hostile", 1_000), ("bare", 640)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=20.0, help="what the service gives a slow sender")
    chosen = parser.parse_args()
    paths = sorted(path for path in chosen.images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    files = [path.read_bytes() for path in paths[:MOST_PICTURES]]
    bundle = Bundle.open(chosen.bundle)
    bare = {
        name: bare_encoder(bundle, files, count=chosen.bare, decoding=decoding)
        for name, decoding in (("encoder alone", False), ("with decoding", True))
    }
    command = [sys.executable, "-m", "simtrain", "serve", str(chosen.bundle), "--port", "0"]
    command += ["--seconds", str(chosen.seconds)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        server.stdout.readline()
        port = int(urlsplit(server.stdout.readline().split()[1]).port or 0)
        report(chosen, bare, files, server.pid, port)
    finally:
        server.terminate()
        print("exit status of the service:", server.wait())
    print("largest memory of the service:", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, "MB")


def report(chosen: Any, bare: dict[str, Speed], files: list[bytes], pid: int, port: int) -> None:
    """Send everything, and print what came back."""
    for name, speed in bare.items():
        print(f"{name:15} {speed}")
    requests = [request_of(file) for file in files]
    asyncio.run(load(port, requests, clients=4, count=32))  # the first ones are slower
    own, servers = processor_seconds(resource.RUSAGE_SELF), server_seconds(pid)
    began = time.perf_counter()
    seconds, statuses = asyncio.run(load(port, requests, clients=chosen.clients, count=chosen.requests))
    wall = time.perf_counter() - began
    served = Speed(len(seconds) / wall, 1000 * (server_seconds(pid) - servers) / len(seconds))
    clients = 1000 * (processor_seconds(resource.RUSAGE_SELF) - own) / len(seconds)
    print(f"{'served':15} {served}; the clients: {clients:.1f} ms")
    for name, speed in bare.items():
        rate, processor = served.rate / speed.rate, served.processor / speed.processor
        print(f"served / {name}: {rate:.2f} of its rate, {processor:.2f} of its processor time")
    half, tail = np.quantile(seconds, [0.5, 0.99])
    print(
        f"{len(seconds)} requests of {chosen.clients} clients: {half:.3f} s median, {tail:.3f} s p99; {dict(statuses)}"
    )
    if chosen.hostile:
        found = asyncio.run(attack(port, files[0], count=chosen.hostile, clients=chosen.clients))
        for kind, counts in found.items():
            print(f"  {kind}: {dict(counts)}")
        everything = sum(found.values(), Counter[str]())
        print("hostile uploads:", json.dumps(everything), "afterwards ready:", asyncio.run(status_of(port, "/ready")))


def server_seconds(pid: int) -> float:
    """Processor seconds of another process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    main()
