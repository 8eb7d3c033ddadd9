# SPDX-License-Identifier: Apache-2.0
"""Token authorization: on by default, a key per listener, renewed with the API key."""

import json
import stat

import pytest
import requests

from e2e.archives import make_mar
from e2e.client import Raw
from e2e.server import assert_error, eventually, free_ports

REFUSED = ("Token Authorization failed. Token either incorrect, expired, or not provided "
           "correctly. ")
NOT_RENEWED = ("Token Authentication failed. Token either incorrect, expired, or not provided "
               "correctly. ")
MISSING = "There is no Authorization header"
MALFORMED = "The Authorization header is not 'Bearer KEY'"
OTHER = "That is the key for something else"
WRONG = "That is no key of this server"


def refused(fault, kind, file="key_file.json"):
    """TorchServe's sentence, and what to do."""
    return (f"{NOT_RENEWED if kind == 'API' else REFUSED}{fault}: send 'Authorization: Bearer KEY' "
            f"with the {kind} key of the server's {file}")


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


@pytest.mark.parametrize("header,fault", [
    (None, MISSING), ("", MISSING), ("Bearer", MALFORMED), ("Bearer ", MALFORMED),
    ("Bearer wrong", WRONG), ("Basic abc", MALFORMED), ("{inference}", MALFORMED),
    ("bearer {inference}", MALFORMED),
    ("Bearer {inference}x", WRONG), ("Bearer {inference} x", MALFORMED),
    ("Bearer {management}", OTHER), ("Bearer {API}", OTHER), ("Bearer notakey_", WRONG)])
def test_wrong_keys(server, header, fault):
    headers = {} if header is None else {"Authorization": header.format(**keys(server))}
    for path in ("/predictions/echo", "/ping", "/predictions/nobody"):
        assert_error(server.get(path, headers=headers), 400, "InvalidKeyException",
                     refused(fault, "inference"))


def test_management_needs_its_own_key(server):
    for headers, fault in (({}, MISSING), (bearer(keys(server)["inference"]), OTHER)):
        assert_error(server.manage("GET", "/models", headers=headers), 400, "InvalidKeyException",
                     refused(fault, "management"))


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
    assert_error(predict(server, keys(server)["management"]), 400, "InvalidKeyException",
                 refused(OTHER, "inference"))


def test_metrics_are_open(server):
    assert "Requests2XX" in server.metrics_text()


def test_renewal(server):
    before = keys(server)
    response = server.manage("GET", "/token?type=inference", headers=bearer(before["API"]))
    assert (response.status_code, response.text) == (200, "\n")
    after = keys(server)
    assert after["inference"] != before["inference"]
    assert (after["management"], after["API"]) == (before["management"], before["API"])
    assert_error(predict(server, before["inference"]), 400, "InvalidKeyException",
                 refused(WRONG, "inference"))
    assert predict(server, after["inference"]).text == "x"


WHICH = NOT_RENEWED + "Say which key: /token?type=management or /token?type=inference"


@pytest.mark.parametrize("path,kind,message", [
    ("/token?type=inference", "management", refused(OTHER, "API")), ("/token", "API", WHICH),
    ("/token?type=API", "API", WHICH), ("/token?type=x", "API", WHICH)])
def test_failed_renewal(server, path, kind, message):
    before = keys(server)
    response = server.manage("GET", path, headers=bearer(before[kind]))
    assert_error(response, 400, "InvalidKeyException", message)
    assert keys(server) == before


def test_the_start_says_where_the_keys_are_and_how_to_send_one(server):
    server.logged("ts_log.log",
                  "Token authorization is enabled: calls need the header Authorization: Bearer "
                  "KEY, with the inference key for predictions and the management key for models. "
                  "--disable-token-auth (disable_token_authorization=true) does without\n",
                  f"Key file located at {server.root / 'key_file.json'}\n")


def test_another_place_for_the_keys(serve, tmp_path):
    """Two servers in one folder; the folder is not told to strangers. Gone at the end."""
    make_mar(tmp_path / "store", "echo", "echo.py")
    place = tmp_path / "elsewhere" / "mine.json"
    place.parent.mkdir()
    server = serve(store=tmp_path / "store", disable_token_authorization=None, wait=False,
                   key_file=place)
    eventually(lambda: place.exists() and server.answers())
    eventually(lambda: f"Key file located at {place}\n" in server.log("ts_log.log"))
    assert not (server.root / "key_file.json").exists()
    assert_error(server.get("/ping"), 400, "InvalidKeyException",
                 refused(MISSING, "inference", "mine.json"))
    key = json.loads(place.read_text())["inference"]["key"]
    eventually(lambda: predict(server, key).status_code == 200)
    server.stop()
    assert not place.exists()


def test_keys_of_another_server_stay(serve, tmp_path):
    """Two in one folder write the same file: the last one's keys are there."""
    settings = {"disable_token_authorization": None, "wait": False, "load_models": None,
                "key_file": tmp_path / "keys.json"}
    first = serve(**settings)
    eventually(lambda: (tmp_path / "keys.json").exists() and first.answers())
    written = (tmp_path / "keys.json").read_text()
    second = serve(**settings)
    eventually(lambda: (tmp_path / "keys.json").read_text() != written and second.answers())
    first.stop()
    key = json.loads((tmp_path / "keys.json").read_text())["inference"]["key"]
    assert second.get("/ping", headers=bearer(key)).status_code == 200
    second.stop()
    assert not (tmp_path / "keys.json").exists()


def test_servers_that_share_given_keys(serve, tmp_path):
    """What a Secret of Kubernetes brings: a folder of links, read-only. /token leaves it alone."""
    given = {kind: {"key": f"{kind}-0123456789abcdef"} for kind in ("inference", "management")}
    secret = tmp_path / "secret"
    (secret / "..data").mkdir(parents=True)
    (secret / "..data" / "keys.json").write_text(json.dumps(given))
    (secret / "keys.json").symlink_to("..data/keys.json")
    settings = {"disable_token_authorization": None, "wait": False, "load_models": None,
                "keys_from": secret / "keys.json"}
    for server in (serve(**settings), serve(**settings)):
        eventually(server.answers)
        assert server.get("/ping", headers=bearer(given["inference"]["key"])).status_code == 200
        assert server.manage("GET", "/models", headers=bearer(given["management"]["key"])).ok
        assert "sconce_token_expiry_timestamp_seconds{" not in server.metrics_text()
        assert_error(server.get("/ping"), 400, "InvalidKeyException",
                     refused(MISSING, "inference", "keys.json"))
        assert_error(server.manage("GET", "/token?type=inference"), 400, "InvalidKeyException",
                     "The keys of this server come from a file that others share (keys_from): "
                     "change them there, and restart.")
        located = f"Key file located at {secret / '..data' / 'keys.json'}\n"
        eventually(lambda s=server, text=located: text in s.log("ts_log.log"))
        assert not (server.root / "key_file.json").exists()
        server.stop()
    assert json.loads((secret / "keys.json").read_text()) == given


def test_given_keys_that_are_not_there(serve, tmp_path):
    server = serve(disable_token_authorization=None, wait=False, load_models=None,
                   keys_from=tmp_path / "none.json")
    assert server.wait() == 1
    server.ended = True
    assert (f"cannot start: {tmp_path / 'none.json'}: no keys can be taken from this file "
            "(keys_from): No such file or directory\n") in server.console


def test_expired(serve, tmp_path):
    server = serve(disable_token_authorization=None, wait=False, load_models=None,
                   token_expiration_min=0)
    eventually(lambda: (server.root / "key_file.json").exists() and server.answers())
    assert_error(server.get("/ping", headers=bearer(keys(server)["inference"])), 400,
                 "InvalidKeyException",
                 REFUSED + "The inference key has expired: /token?type=inference of the management "
                 "address, called with the API key, writes a new one into the server's "
                 "key_file.json")


def test_a_time_beyond_all_clocks_has_no_end(serve):
    server = serve(disable_token_authorization=None, wait=False, load_models=None,
                   token_expiration_min=290_000_000)
    eventually(lambda: (server.root / "key_file.json").exists() and server.answers())
    assert server.get("/ping", headers=bearer(keys(server)["inference"])).status_code == 200


def test_where_keys_cannot_be_written(serve, tmp_path):
    server = serve(disable_token_authorization=None, wait=False, load_models=None,
                   key_file=tmp_path / "no" / "keys.json")
    assert server.wait() == 1
    server.ended = True
    assert (f"sconce: cannot start: {tmp_path / 'no' / 'keys.json'}: the keys for token "
            "authorization cannot be written: No such file or directory. Start in a folder that is "
            "writable, name another place with key_file (--key-file), or do without keys with "
            "--disable-token-auth\n") in server.console


def test_the_end_waits_for_renewals_of_clients_that_have_left(serve):
    server = serve(disable_token_authorization=None, wait=False, load_models=None,
                   environment={"UV_THREADPOOL_SIZE": "1"})
    eventually(lambda: (server.root / "key_file.json").exists() and server.answers())
    head = "GET /token?type=inference HTTP/1.1\r\nhost: x\r\n"
    clients = [Raw(server.management) for _ in range(200)]
    for client in clients:
        client.send(f"{head}Authorization: Bearer {keys(server)['API']}\r\n\r\n")
    clients[0].response()
    for client in clients:
        client.close()
    # It is served last of all that are there: the others have been heard, and have left.
    server.metric("sconce_connections")
    server.stop()
    assert not (server.root / "key_file.json").exists()
