"""Who may call the server: tokens, hosts, origins."""

import pytest
from starlette.testclient import TestClient

from review.server.app import create_app
from review.server.settings import Settings

TOKEN = "0123456789abcdef0123"


@pytest.fixture
def guarded(segmented):
    """Calls to a server with a token that listens at every address."""
    settings = Settings(host="0.0.0.0", token=TOKEN, origins=("https://viewer.example",))
    with TestClient(create_app(segmented, settings), follow_redirects=False) as calls:
        yield calls


def test_token_is_needed_for_every_path(guarded):
    described = guarded.app.openapi()["paths"]
    paths = [
        "/",
        "/static/x.js",
        *(path.replace("{case_id}", "case_a").replace("{version}", "1") for path in described),
    ]
    assert len(paths) > 12
    for path in paths:
        if path not in ("/api/login", "/auth/", "/auth/token"):
            assert guarded.get(path).status_code == 401, path
    assert guarded.get("/api/info").json()["error"]
    assert guarded.get("/api/info", headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert guarded.get("/api/info", headers={"Authorization": f"Bearer {TOKEN}"}).json()["token_required"] is True


def test_login_gives_a_cookie(guarded):
    assert guarded.post("/api/login", json={"token": "wrong"}).status_code == 401
    answer = guarded.post("/api/login", json={"token": TOKEN})
    assert answer.status_code == 204
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert guarded.get("/api/info").status_code == 200


def test_address_with_token_gives_a_cookie(guarded):
    assert guarded.get("/?token=wrong").status_code == 401
    answer = guarded.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert TOKEN not in answer.headers["location"]
    assert guarded.get("/api/info").status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.evil.example", ""])
def test_pages_of_other_origins_are_refused(client, origin):
    decision = {"action": "accept", "version": 1}
    answer = client.post("/api/cases/case_a/decision", json=decision, headers={"Origin": origin})
    assert answer.status_code == 403
    assert client.get("/api/cases/case_a").json()["state"] == "segmented"


def test_own_origin_and_given_ones_may_call(client, guarded):
    assert client.get("/api/info", headers={"Origin": "http://testserver"}).status_code == 200
    headers = {"Origin": "https://viewer.example", "Authorization": f"Bearer {TOKEN}"}
    answer = guarded.get("/api/info", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
    preflight = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "POST"}
    assert guarded.options("/api/login", headers=preflight).status_code == 200


def test_another_host_name_is_refused(client):
    assert client.get("/api/info", headers={"Host": "rebound.example:8008"}).status_code == 403
    assert client.get("/api/info", headers={"Host": "127.0.0.1:8008"}).status_code == 200
    assert client.get("/api/info", headers={"Host": "[::1]:8008"}).status_code == 200


@pytest.mark.parametrize("path", ["/api/login", "/auth/token"])
@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_who_has_no_token_sends_little(guarded, path, kind):
    """Nothing of a large body is kept, neither in memory nor on the disk, before the token was seen."""
    headers = {"Content-Type": kind}
    assert guarded.post(path, content=b"a=1&" * 20000, headers=headers).status_code == 413
    answer = guarded.post(path, content=iter([b"a=1&"] * 20), headers=headers)  # without Content-Length
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["error"]
    assert guarded.post(path, content=b"a=1", headers=headers).status_code < 413


def test_forms_say_how_long_they_are(client):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/infer/graded?image=case_a", content=iter([b"a=1&"]), headers=headers).status_code == 411


@pytest.mark.parametrize("name", ["Origin", "Host"])
@pytest.mark.parametrize("value", ["http://[", "[", "[::1", "http://]"])
def test_addresses_that_are_none(client, name, value):
    answer = client.get("/api/cases", headers={name: value})
    assert answer.status_code == 403
    assert answer.json()["error"].startswith(name.lower())
