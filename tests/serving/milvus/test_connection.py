"""Addresses of Milvus, and its errors in one line."""

from pathlib import Path

import pytest
from pymilvus import MilvusException

from simtrain.errors import SimtrainError
from simtrain.serving.milvus import connection
from simtrain.serving.milvus.connection import MilvusAddress, connected, milvus_errors, with_patience


def test_a_path_is_an_embedded_one_and_a_uri_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert MilvusAddress.of("milvus:shop.db").uri == str(tmp_path / "shop.db")
    assert MilvusAddress.of("milvus:https://host:19530") == MilvusAddress(
        text="milvus:https://host:19530", uri="https://host:19530", file=None
    )


@pytest.mark.parametrize("text", ["shop.db", "milvus:", "qdrant:x", "", "milvus:ftp://host"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(SimtrainError, match=r"milvus:http://HOST:19530"):
        MilvusAddress.of(text)


def test_a_path_without_its_suffix_is_refused(tmp_path: Path) -> None:
    address = MilvusAddress.of(f"milvus:{tmp_path / 'shop'}")
    with pytest.raises(SimtrainError, match=r"ends in \.db: milvus:.*shop\.db$"), connected(address, must_exist=False):
        pass


def test_nothing_is_made_where_something_has_to_be(tmp_path: Path) -> None:
    address = MilvusAddress.of(f"milvus:{tmp_path / 'shop.db'}")
    with pytest.raises(SimtrainError, match="nothing is there; publish a bundle"), connected(address, must_exist=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_told() -> None:
    address = MilvusAddress.of("milvus:http://127.0.0.1:9")
    with (
        pytest.raises(SimtrainError, match=r"^milvus:http://127\.0\.0\.1:9: cannot be reached; is it running"),
        connected(address, must_exist=True),
    ):
        pass


def test_errors_are_one_line() -> None:
    with pytest.raises(SimtrainError, match=r"^here: no such field$"), milvus_errors("here"):
        raise MilvusException(code=1, message="no such field\nTraceback …")


def test_a_busy_milvus_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", pauses.append)
    answers = [MilvusException(message="UNAVAILABLE: try later"), MilvusException(message="rate limit exceeded"), 7]

    def call() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert with_patience(call) == 7
    assert pauses == [0.5, 1.0]


def test_what_is_wrong_is_not_asked_again() -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        raise MilvusException(message="field x is missing")

    with pytest.raises(MilvusException, match="field x is missing"):
        with_patience(call)
    assert len(calls) == 1


def test_an_address_holds_no_password() -> None:
    with pytest.raises(SimtrainError) as caught:
        MilvusAddress.of("milvus:https://root:secret@host:19530")
    assert str(caught.value) == (
        "milvus:https://…@…: an address holds no password; set MILVUS_TOKEN=USER:PASSWORD and write "
        "milvus:http://HOST:19530"
    )
