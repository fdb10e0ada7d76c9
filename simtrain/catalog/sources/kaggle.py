"""Resumable download of a Kaggle dataset."""

import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simtrain.errors import CatalogError, first_line, system_reason

if TYPE_CHECKING:
    from requests import HTTPError, Response, Session

# The libraries are loaded where they are used: importing kaggle makes folders, asks its server and prints.

DIGIKALA = "masouduut94/digikala-color-classification"
"""6,239 product photos in 12 colours, one folder each."""

_NAME = re.compile(r"([A-Za-z0-9_-]+)/([A-Za-z0-9_-]+)(?:/([1-9][0-9]{0,8}))?")
_CHUNK = 1 << 16
_SECONDS = 60.0
"""Silence after which a connection counts as lost."""

_GOES_ON = "what was downloaded is kept, and the same command goes on from there"
_REFUSED = (401, 403)
_NOT_FOUND = 404
_TOO_MANY = 429
_PARTIAL_CONTENT = 206


def download_kaggle(name: str, folder: Path) -> Path:
    """Download the archive of a dataset with the official client's credentials and connection; prints nothing.

    While it is incomplete the archive is `<dataset>.zip.partial`, beside `<dataset>.zip.json`, which says what it is
    part of. The next call with the same folder asks for the rest only, unless the dataset has changed; of a complete
    archive that has not changed it asks for nothing. A connection that breaks is taken up again for as long as each
    brings something.

    Args:
        name: `owner/dataset`, or `owner/dataset/version`.
        folder: Made if missing; an interrupted download stays in it.

    Returns:
        The archive, `<dataset>.zip` in the folder.

    Raises:
        CatalogError: for a name of another form, credentials that are missing or refused, a dataset that does not
            exist, and a download that ended early.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise CatalogError(
            f"kaggle:{name}: expected kaggle:OWNER/DATASET or kaggle:OWNER/DATASET/VERSION as in the dataset's "
            f"address kaggle.com/datasets/OWNER/DATASET, such as kaggle:{DIGIKALA}"
        )
    owner, dataset, version = match.groups()
    with _told(name):
        folder.mkdir(parents=True, exist_ok=True)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            response = _request_archive(name, owner=owner, dataset=dataset, version=version)
        response.close()  # it has no time-out; what follows asks again for what is missing
        transfer = _Transfer(name, response=response, archive=folder / f"{dataset}.zip")
        return transfer.run()


@contextmanager
def _told(name: str) -> Iterator[None]:
    from requests import HTTPError, RequestException

    try:
        yield
    except CatalogError:
        raise
    except HTTPError as error:
        raise CatalogError(f"kaggle:{name}: {_http_problem(name, error)}") from None
    except RequestException as error:
        raise CatalogError(
            f"kaggle:{name}: no connection to Kaggle, or it was lost ({type(error).__name__}); {_GOES_ON}. "
            f"{_by_hand(name)}"
        ) from None
    except OSError as error:
        raise CatalogError(f"kaggle:{name}: cannot be saved: {system_reason(error)}") from None
    except Exception as error:  # the client raises bare Exceptions, KeyErrors and ValueErrors
        raise CatalogError(f"kaggle:{name}: the kaggle package failed: {first_line(error)}") from None


def _http_problem(name: str, error: "HTTPError") -> str:
    if error.response is None:
        return f"Kaggle answered with an error: {first_line(error)}"
    status = error.response.status_code
    if status in _REFUSED:
        return (
            f"Kaggle refuses access ({status}): the credentials are wrong or outdated, the dataset is private, or its "
            f"terms have to be accepted first at {_address(name)}"
        )
    if status == _NOT_FOUND:
        return f"Kaggle has no such dataset or version (404); see {_address(name)}"
    if status == _TOO_MANY:
        wait = error.response.headers.get("Retry-After", "")
        after = f" in {wait} seconds" if wait.isdecimal() else " later"
        return f"Kaggle has had too many requests (429); try again{after}"
    return f"Kaggle answered with an error ({status}); try again later. {_by_hand(name)}"


def _address(name: str) -> str:
    return f"https://www.kaggle.com/datasets/{'/'.join(name.split('/')[:2])}"


def _by_hand(name: str) -> str:
    return f"Or download it from {_address(name)} by hand, unpack it and give the folder"


def _request_archive(name: str, *, owner: str, dataset: str, version: str | None) -> "Response":
    """The beginning of Kaggle's answer, after its redirection to where the archive is stored."""
    from kaggle.api.kaggle_api_extended import KaggleApi
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    api = KaggleApi()
    try:
        api.authenticate()
    except SystemExit:  # the client's way to say that there are none
        raise CatalogError(f"kaggle:{name}: {_no_credentials(name)}") from None
    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug = owner, dataset
    request.dataset_version_number = int(version) if version is not None else None
    with api.build_kaggle_client() as client:
        response: Response = client.datasets.dataset_api_client.download_dataset(request)
        return response


def _no_credentials(name: str) -> str:
    from kagglesdk.kaggle_env import get_access_token_from_env

    token, origin = get_access_token_from_env()
    found = f"Kaggle does not accept the token in {origin}" if token else "no Kaggle credentials"
    return (
        f"{found}; make a token at https://www.kaggle.com/settings/api and put it into the variable KAGGLE_API_TOKEN "
        "or the file ~/.kaggle/access_token (an older key: KAGGLE_USERNAME and KAGGLE_KEY, or "
        f"~/.kaggle/kaggle.json). {_by_hand(name)}"
    )


class _Transfer:
    """One archive on its way to the disk."""

    def __init__(self, name: str, *, response: "Response", archive: Path) -> None:
        self._name, self._archive = name, archive
        self._partial = archive.with_name(f"{archive.name}.partial")
        self._record = archive.with_name(f"{archive.name}.json")
        self._request = response.request
        self._validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
        self._size = int(response.headers.get("Content-Length", 0))
        if not self._size or "text/html" in response.headers.get("Content-Type", ""):
            raise CatalogError(
                f"kaggle:{name}: no archive came, but something else; does a page of this network want a login first?"
            )

    def run(self) -> Path:
        identity = {"dataset": self._name, "validator": self._validator, "bytes": self._size}
        same = self._validator is not None and _read_record(self._record) == identity
        if same and self._archive.is_file() and self._archive.stat().st_size == self._size:
            return self._archive
        if not same:
            self._partial.unlink(missing_ok=True)
            self._archive.unlink(missing_ok=True)
            self._record.write_text(json.dumps(identity), encoding="utf-8")
        self._refuse_full_disk()
        while (before := self._present()) < self._size:
            self._continue(before)
        return self._partial.replace(self._archive)

    def _present(self) -> int:
        present = self._partial.stat().st_size if self._partial.is_file() else 0
        if present > self._size:
            self._partial.unlink()
            return 0
        return present

    def _refuse_full_disk(self) -> None:
        free = shutil.disk_usage(self._archive.parent).free
        missing = self._size - self._present()
        if missing > free:
            raise CatalogError(
                f"kaggle:{self._name}: {missing:,} bytes are to come, but {free:,} are free in {self._archive.parent}"
            )

    def _continue(self, start: int) -> None:
        """One connection's worth; that it broke is an error only if it brought nothing."""
        from requests import HTTPError, RequestException, Session

        try:
            with Session() as session, self._ask(session, start) as response:
                response.raise_for_status()
                self._refuse_other(response, start)
                with self._partial.open("ab" if response.status_code == _PARTIAL_CONTENT else "wb") as file:
                    for chunk in response.iter_content(_CHUNK):
                        file.write(chunk)
        except HTTPError as error:  # such as an address that has expired; it is secret and stays out of the message
            status = error.response.status_code if error.response is not None else "no status"
            raise CatalogError(f"kaggle:{self._name}: the download broke off ({status}); {_GOES_ON}") from None
        except RequestException:
            if self._present() <= start:
                raise
        if self._present() <= start:
            raise CatalogError(f"kaggle:{self._name}: nothing more comes after {start:,} bytes; {_GOES_ON}")

    def _ask(self, session: "Session", start: int) -> "Response":
        request = self._request.copy()
        request.headers["Accept-Encoding"] = "identity"
        if start:
            request.headers["Range"] = f"bytes={start}-"
            if self._validator is not None:  # the whole archive comes instead if it is another by now
                request.headers["If-Range"] = self._validator
        settings = session.merge_environment_settings(str(request.url), {}, True, None, None)
        return session.send(request, timeout=_SECONDS, **settings)

    def _refuse_other(self, response: "Response", start: int) -> None:
        """What comes has to be the rest of the archive, or all of it."""
        if response.status_code == _PARTIAL_CONTENT:
            found, expected = response.headers.get("Content-Range"), f"bytes {start}-{self._size - 1}/{self._size}"
        else:
            found, expected = response.headers.get("Content-Length"), str(self._size)
        if found != expected:
            raise CatalogError(
                f"kaggle:{self._name}: the dataset changed on the way ({found} for {expected}); start the command again"
            )


def _read_record(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
