"""Downloads with the real kaggle client, from a server of our own at the addresses that the client calls."""

import json
import os
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from kagglesdk import kaggle_env

from simtrain.catalog.sources.kaggle import DIGIKALA, download_kaggle
from simtrain.errors import CatalogError

CONTENT = bytes(number * 7 % 251 for number in range(300_000))
ADDRESS = "https://www.kaggle.com/datasets/shop/mugs"
BY_HAND = f"Or download it from {ADDRESS} by hand, unpack it and give the folder"
GOES_ON = "what was downloaded is kept, and the same command goes on from there"
WHERE = (
    "make a token at https://www.kaggle.com/settings/api and put it into the variable KAGGLE_API_TOKEN or the file "
    "~/.kaggle/access_token (an older key: KAGGLE_USERNAME and KAGGLE_KEY, or ~/.kaggle/kaggle.json). " + BY_HAND
)
REFUSED = (
    ": the credentials are wrong or outdated, the dataset is private, or its terms have to be accepted first at "
) + ADDRESS


@dataclass
class FakeKaggle:
    """What the server answers, and what it was asked."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    refusal: int | None = None
    refusal_headers: dict[str, str] = field(default_factory=dict)
    token_is_active: bool = True
    content_type: str = "application/zip"
    expired_after: int = 1000
    breaks_after: list[int] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    port: int = 0


class Handler(BaseHTTPRequestHandler):
    fake: FakeKaggle

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.fake.asked.append((self.path, body))
        self.fake.authorizations.append(self.headers["Authorization"])
        if self.path == "/v1/security.OAuthService/IntrospectToken":
            self.answer_json(200, {"active": self.fake.token_is_active, "username": "someone"})
        elif self.fake.refusal is not None:
            self.answer_json(self.fake.refusal, {"code": self.fake.refusal, "message": "no"})
        else:
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.fake.port}/storage?signature=secret")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_GET(self) -> None:
        wanted, only_asking = self.headers["Range"], self.headers["Accept-Encoding"] != "identity"
        if not only_asking:
            self.fake.ranges.append(wanted)
        if len(self.fake.ranges) > self.fake.expired_after or self.headers["Authorization"] is not None:
            self.answer_json(403, {})
            return
        same = self.headers["If-Range"] in (None, self.fake.etag)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and same else 0
        rest = self.fake.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{start + len(rest) - 1}/{start + len(rest)}")
        self.send_header("Content-Type", self.fake.content_type)
        self.send_header("Content-Length", str(len(rest)))
        if self.fake.etag is not None:
            self.send_header("ETag", self.fake.etag)
        self.end_headers()
        if not only_asking:
            self.wfile.write(rest[: self.fake.breaks_after.pop(0)] if self.fake.breaks_after else rest)

    def answer_json(self, status: int, content: dict[str, Any]) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(status)
        for name, value in self.fake.refusal_headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KAGGLE_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, "http://127.0.0.1:9")
    from kaggle.api.kaggle_api_extended import KaggleApi

    monkeypatch.setattr(KaggleApi, "config", str(tmp_path / "home" / "kaggle.json"))


@pytest.fixture
def kaggle(no_credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    fake = FakeKaggle()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"fake": fake}))
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, f"http://127.0.0.1:{fake.port}")
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", "0123")
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def refused(name: str, folder: Path) -> str:
    with pytest.raises(CatalogError) as told:
        download_kaggle(name, folder)
    return str(told.value)


def test_archive_comes_with_name_and_key(kaggle: FakeKaggle, tmp_path: Path) -> None:
    archive = download_kaggle("shop/mugs", tmp_path / "new" / "folder")
    assert archive == tmp_path / "new" / "folder" / "mugs.zip"
    assert archive.read_bytes() == CONTENT
    assert kaggle.asked == [
        ("/v1/datasets.DatasetApiService/DownloadDataset", {"ownerSlug": "shop", "datasetSlug": "mugs"})
    ]
    assert kaggle.authorizations == ["Basic c29tZW9uZTowMTIz"]  # base64 of someone:0123
    assert sorted(path.name for path in archive.parent.iterdir()) == ["mugs.zip", "mugs.zip.json"]


def test_version_is_asked_for(kaggle: FakeKaggle, tmp_path: Path) -> None:
    download_kaggle("shop/mugs/12", tmp_path)
    assert kaggle.asked[-1][1] == {"ownerSlug": "shop", "datasetSlug": "mugs", "datasetVersionNumber": 12}


@pytest.mark.parametrize("place", ["variable", "file"])
def test_token_is_used(kaggle: FakeKaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    if place == "variable":
        monkeypatch.setenv("KAGGLE_API_TOKEN", "abc")
    else:
        (tmp_path / "home" / ".kaggle").mkdir(parents=True)
        (tmp_path / "home" / ".kaggle" / "access_token").write_text("abc\n")
    download_kaggle("shop/mugs", tmp_path)
    assert kaggle.authorizations[-1] == "Bearer abc"


@pytest.mark.parametrize(
    "name", ["", "mugs", "shop/", "/mugs", "shop/mugs/", "shop/mugs/v2", "shop/mugs/0", "a/b/1/2", "../mugs", "shop/.."]
)
def test_other_forms_of_names_are_refused(tmp_path: Path, name: str) -> None:
    assert refused(name, tmp_path) == (
        f"kaggle:{name}: expected kaggle:OWNER/DATASET or kaggle:OWNER/DATASET/VERSION as in the dataset's address "
        f"kaggle.com/datasets/OWNER/DATASET, such as kaggle:{DIGIKALA}"
    )


def test_missing_credentials_are_explained_without_asking_anybody(
    no_credentials: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert refused("shop/mugs/2", tmp_path) == f"kaggle:shop/mugs/2: no Kaggle credentials; {WHERE}"
    assert capfd.readouterr() == ("", "")


def test_token_that_is_not_active_is_told(kaggle: FakeKaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle.token_is_active = False
    monkeypatch.setenv("KAGGLE_API_TOKEN", "abc")
    monkeypatch.delenv("KAGGLE_KEY")
    assert refused("shop/mugs", tmp_path) == (
        f"kaggle:shop/mugs: Kaggle does not accept the token in KAGGLE_API_TOKEN; {WHERE}"
    )


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, f"Kaggle refuses access (401){REFUSED}"),
        (403, f"Kaggle refuses access (403){REFUSED}"),
        (404, f"Kaggle has no such dataset or version (404); see {ADDRESS}"),
        (429, "Kaggle has had too many requests (429); try again later"),
        (500, f"Kaggle answered with an error (500); try again later. {BY_HAND}"),
    ],
)
def test_refusals_are_told(kaggle: FakeKaggle, tmp_path: Path, status: int, message: str) -> None:
    kaggle.refusal = status
    assert refused("shop/mugs", tmp_path) == f"kaggle:shop/mugs: {message}"


def test_time_that_kaggle_wants_to_pass_is_told(kaggle: FakeKaggle, tmp_path: Path) -> None:
    kaggle.refusal, kaggle.refusal_headers = 429, {"Retry-After": "90"}
    assert refused("shop/mugs", tmp_path).endswith("(429); try again in 90 seconds")


def test_no_network_is_told(kaggle: FakeKaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, "http://127.0.0.1:9")
    assert refused("shop/mugs", tmp_path) == (
        f"kaggle:shop/mugs: no connection to Kaggle, or it was lost (ConnectionError); {GOES_ON}. {BY_HAND}"
    )


def test_connection_that_breaks_is_taken_up_again(kaggle: FakeKaggle, tmp_path: Path) -> None:
    kaggle.breaks_after = [70_000, 66_000]
    assert download_kaggle("shop/mugs", tmp_path).read_bytes() == CONTENT
    assert kaggle.ranges == [None, "bytes=65536-", "bytes=131072-"]  # whole chunks of 64 KiB are kept


@pytest.mark.parametrize("kept", [131_072, 1_001])
def test_next_call_goes_on_where_an_interrupted_one_stopped(kaggle: FakeKaggle, tmp_path: Path, kept: int) -> None:
    kaggle.breaks_after = [140_000, 0]  # the second connection brings nothing, which ends the call
    assert refused("shop/mugs", tmp_path).startswith("kaggle:shop/mugs: no connection to Kaggle, or it was lost (")
    partial = tmp_path / "mugs.zip.partial"
    assert partial.read_bytes() == CONTENT[:131_072]
    partial.write_bytes(CONTENT[:kept])  # killed, any byte may have been the last
    assert download_kaggle("shop/mugs", tmp_path).read_bytes() == CONTENT
    assert kaggle.ranges == [None, "bytes=131072-", f"bytes={kept}-"]


@pytest.mark.parametrize("etag", ['"two"', None])
def test_part_of_another_archive_is_thrown_away(kaggle: FakeKaggle, tmp_path: Path, etag: str | None) -> None:
    kaggle.breaks_after = [140_000, 0]
    refused("shop/mugs", tmp_path)
    kaggle.content, kaggle.etag = CONTENT[::-1], etag
    kaggle.ranges.clear()
    assert download_kaggle("shop/mugs", tmp_path).read_bytes() == CONTENT[::-1]
    assert kaggle.ranges == [None]


def test_complete_archive_is_fetched_again_only_if_it_changed(kaggle: FakeKaggle, tmp_path: Path) -> None:
    for _ in range(2):
        download_kaggle("shop/mugs", tmp_path)
    assert kaggle.ranges == [None]
    kaggle.content, kaggle.etag = b"shorter", '"two"'
    assert download_kaggle("shop/mugs", tmp_path).read_bytes() == b"shorter"


def test_address_that_expires_is_told_without_its_secret(kaggle: FakeKaggle, tmp_path: Path) -> None:
    kaggle.breaks_after, kaggle.expired_after = [70_000], 1
    assert refused("shop/mugs", tmp_path) == f"kaggle:shop/mugs: the download broke off (403); {GOES_ON}"
    kaggle.expired_after = 1000
    assert download_kaggle("shop/mugs", tmp_path).read_bytes() == CONTENT


def test_login_page_of_a_network_is_no_archive(kaggle: FakeKaggle, tmp_path: Path) -> None:
    kaggle.content_type = "text/html; charset=utf-8"
    assert refused("shop/mugs", tmp_path) == (
        "kaggle:shop/mugs: no archive came, but something else; does a page of this network want a login first?"
    )


def test_disk_without_room_is_told_before_anything_is_written(
    kaggle: FakeKaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(0, 0, 1_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    assert refused("shop/mugs", tmp_path) == (
        f"kaggle:shop/mugs: 300,000 bytes are to come, but 1,000 are free in {tmp_path}"
    )
    assert kaggle.ranges == []


def test_disk_that_fills_up_is_told(kaggle: FakeKaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", Mock(side_effect=OSError(28, "No space left on device")))
    assert refused("shop/mugs", tmp_path) == "kaggle:shop/mugs: cannot be saved: No space left on device"


def test_first_import_of_the_client_prints_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from simtrain.catalog.sources.kaggle import download_kaggle\n"
        "assert 'kaggle' not in sys.modules\n"
        "try: download_kaggle('shop/mugs', Path(sys.argv[1]))\n"
        "except Exception as error: assert 'no Kaggle credentials' in str(error), error\n"
        "assert 'kaggle' in sys.modules and 'torch' not in sys.modules"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE_")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=kept | {"HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
