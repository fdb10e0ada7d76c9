"""Who may ask, and how much they may send."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

Make = Callable[..., TestClient]


def test_headers_of_every_answer(client: TestClient) -> None:
    for path in ("/", "/page.js", "/api/bundle", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert headers["x-content-type-options"] == "nosniff"
        assert not [name for name in headers if name.startswith("access-control")]


def test_other_sites_may_not_ask(client: TestClient) -> None:
    for site in ("cross-site", "same-site"):
        answer = client.get("/api/bundle", headers={"sec-fetch-site": site})
        assert (answer.status_code, answer.json()) == (403, {"error": "pages of other sites may not ask"})
    assert client.options("/api/search", headers={"origin": "https://evil.example"}).status_code == 405
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200  # a link to the page


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_service_of_this_machine_has_no_other_name(make_client: Make, host: str) -> None:
    client = make_client(host=host)
    for name, status in (
        ("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example", 421),
        ("127.0.0.1.evil", 421), ("", 421),
    ):  # fmt: skip
        assert client.get("/health", headers={"host": name}).status_code == status, name


def test_a_token_is_asked_for_everywhere_but_by_probes(make_client: Make) -> None:
    client = make_client(token="open; sesame=1")
    for path in ("/api/bundle", "/api/picture?id=p11", "/metrics", "/openapi.json", "/page.js", "/nothing"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
    assert [client.get(path).status_code for path in ("/health", "/ready")] == [200, 200]
    assert client.get("/api/bundle", headers={"authorization": "Bearer open; sesame"}).status_code == 401
    assert client.get("/api/bundle", headers={"authorization": "Bearer open; sesame=1"}).status_code == 200


def test_a_person_gives_the_token_once(make_client: Make) -> None:
    client = make_client(token="open; sesame=1")
    asking = client.get("/")
    assert asking.status_code == 401
    assert 'name="token"' in asking.text
    assert client.get("/", params={"token": "wrong"}, follow_redirects=False).status_code == 401
    opened = client.get("/", params={"token": "open; sesame=1"}, follow_redirects=False)
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/api/bundle").status_code == 200
    assert client.get("/", headers={"cookie": "simtrain_token=wrong"}).status_code == 401


def test_a_body_beyond_the_limit_is_refused_and_the_next_is_not(client: TestClient) -> None:
    refusal = {"error": "the request is too large; allowed: an image of up to 0.2 MB"}
    for size in (300_000, 5_000_000):
        answer = client.post("/api/search", files={"image": bytes(size)})
        assert (answer.status_code, answer.json()) == (413, refusal)

    def parts() -> object:
        for _ in range(50):
            yield bytes(100_000)

    answer = client.post("/api/search", content=parts(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert (answer.status_code, answer.json()) == (413, refusal)
    assert client.get("/ready").status_code == 200


def test_requests_are_counted_by_route(client: TestClient) -> None:
    client.get("/api/bundle")
    client.get("/api/search", params={"id": "nothing"})
    client.get("/wp-admin/" + "x" * 50)
    text = client.get("/metrics").text
    assert 'simtrain_requests_total{route="/api/bundle",status="200"} 1.0' in text
    assert 'simtrain_requests_total{route="/api/search",status="404"} 1.0' in text
    assert 'simtrain_requests_total{route="other",status="404"} 1.0' in text
    assert "simtrain_items 40.0" in text
