# SPDX-License-Identifier: Apache-2.0
"""Token authorization: on by default, a key per listener, renewed with the API key."""

import json
import stat

import pytest
import requests

from e2e.archives import make_mar
from e2e.server import assert_error, eventually, free_ports

REFUSED = ("Token Authorization failed. Token either incorrect, expired, or not provided "
           "correctly")
NOT_RENEWED = ("Token Authentication failed. Token either incorrect, expired, or not provided "
               "correctly")


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    make_mar(module_tmp / "store", "echo", "echo.py")
    server = module_serve(store=module_tmp / "store", disable_token_authorization=None, wait=False)
    key_file = server.root / "key_file.json"
    eventually(lambda: key_file.exists() and key_file.read_text())
    eventually(lambda: predicts(server))
    return server


def predicts(server):
    try:
        return predict(server, keys(server)["inference"]).status_code == 200
    except requests.ConnectionError:
        return False


def keys(server):
    document = json.loads((server.root / "key_file.json").read_text())
    return {kind: entry["key"] for kind, entry in document.items()}


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def predict(server, key):
    return server.predict("echo", b"x", headers=bearer(key))


def test_key_file(server):
    path = server.root / "key_file.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(path.read_text())
    assert list(document) == ["management", "inference", "API"]
    assert set(document["inference"]) == {"key", "expiration time"}
    assert set(document["API"]) == {"key"}
    assert len({entry["key"] for entry in document.values()}) == 3


def test_right_keys(server):
    assert predict(server, keys(server)["inference"]).text == "x"
    assert server.get("/ping", headers=bearer(keys(server)["inference"])).status_code == 200
    assert server.manage("GET", "/models", headers=bearer(keys(server)["management"])).ok


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic abc",
                                    "Bearer {management}", "Bearer {API}", "{inference}",
                                    "Bearer {inference}x", "Bearer {inference} x"])
def test_wrong_keys(server, header):
    headers = {} if header is None else {"Authorization": header.format(**keys(server))}
    for path in ("/predictions/echo", "/ping", "/predictions/nobody"):
        assert_error(server.get(path, headers=headers), 400, "InvalidKeyException", REFUSED)


def test_management_needs_its_own_key(server):
    for headers in ({}, bearer(keys(server)["inference"])):
        assert_error(server.manage("GET", "/models", headers=headers), 400, "InvalidKeyException",
                     REFUSED)


def test_on_a_shared_listener_the_route_says_which_key(serve, tmp_path):
    make_mar(tmp_path / "store", "echo", "echo.py")
    port, = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    server = serve(store=tmp_path / "store", disable_token_authorization=None, wait=False,
                   inference_address=address, management_address=address)
    server.inference = server.management = port
    eventually(lambda: (server.root / "key_file.json").exists() and predicts(server))
    for kind, status in (("management", 200), ("inference", 400)):
        response = server.manage("GET", "/models", headers=bearer(keys(server)[kind]))
        assert response.status_code == status
    assert_error(predict(server, keys(server)["management"]), 400, "InvalidKeyException", REFUSED)


def test_metrics_are_open(server):
    assert "Requests2XX" in server.metrics_text()


def test_renewal(server):
    before = keys(server)
    response = server.manage("GET", "/token?type=inference", headers=bearer(before["API"]))
    assert (response.status_code, response.text) == (200, "\n")
    after = keys(server)
    assert after["inference"] != before["inference"]
    assert (after["management"], after["API"]) == (before["management"], before["API"])
    assert_error(predict(server, before["inference"]), 400, "InvalidKeyException", REFUSED)
    assert predict(server, after["inference"]).text == "x"


@pytest.mark.parametrize("path,kind", [("/token?type=inference", "management"), ("/token", "API"),
                                       ("/token?type=API", "API"), ("/token?type=x", "API")])
def test_failed_renewal(server, path, kind):
    before = keys(server)
    response = server.manage("GET", path, headers=bearer(before[kind]))
    assert_error(response, 400, "InvalidKeyException", NOT_RENEWED)
    assert keys(server) == before
