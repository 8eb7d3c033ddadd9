# SPDX-License-Identifier: Apache-2.0
"""Answers for pages of other origins (cors_allowed_*)."""

import json

import pytest

from e2e.archives import make_mar
from e2e.server import eventually

ORIGIN = "https://app.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "content-type,authorization"}
NAMES = ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods",
         "Access-Control-Allow-Headers")


def fill(store):
    make_mar(store, "echo", "echo.py")
    make_mar(store, "dress", "dress.py")
    return store


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    return module_serve(store=fill(module_tmp / "store"), cors_allowed_origin=ORIGIN,
                        cors_allowed_methods="GET, POST, PUT, OPTIONS",
                        cors_allowed_headers="X-Custom-Header, content-type")


def allowed(response):
    return tuple(response.headers.get(name) for name in NAMES)


ALL = (ORIGIN, "GET, POST, PUT, OPTIONS", "X-Custom-Header, content-type")


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/ping", 200), ("POST", "/predictions/echo", 200), ("GET", "/nowhere", 404),
    ("GET", "/predictions/nobody", 404), ("OPTIONS", "/predictions/echo", 200)])
@pytest.mark.parametrize("headers", [{}, {"Origin": ORIGIN}, {"Origin": "https://other.example"}])
def test_every_answer_has_the_headers(server, method, path, status, headers):
    response = server.call(method, path, headers=headers)
    assert response.status_code == status
    assert allowed(response) == ALL
    assert "vary" not in response.headers


def test_management_has_them_too(server):
    assert allowed(server.manage("GET", "/models")) == ALL


def test_a_handler_may_say_otherwise_once(server):
    with server.raw() as raw:
        answer = raw.request("POST", "/predictions/dress", json.dumps(
            {"headers": {"access-control-allow-origin": "*"}}),
            {"Content-Type": "application/json"})
    values = [v for k, v in answer.headers if k.lower() == NAMES[0].lower()]
    assert values == ["*"]


@pytest.mark.parametrize("path", ["/predictions/echo", "/predictions/nobody", "/ping", "/"])
def test_preflight(server, path):
    response = server.call("OPTIONS", path, headers=PREFLIGHT)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "0"
    assert "content-type" not in response.headers
    assert allowed(response) == ALL


def test_preflight_of_management(server):
    response = server.manage("OPTIONS", "/models/echo", headers=PREFLIGHT)
    assert (response.status_code, allowed(response)) == (200, ALL)


def test_preflight_needs_no_token_and_the_request_does(serve, tmp_path):
    server = serve(store=fill(tmp_path / "store"), disable_token_authorization=False, wait=False,
                   cors_allowed_origin="*", cors_allowed_headers="*")
    eventually(lambda: "Model server started." in server.console)
    response = server.call("OPTIONS", "/predictions/echo", headers=PREFLIGHT)
    assert (response.status_code, allowed(response)) == (200, ("*", None, "*"))
    response = server.call("POST", "/predictions/echo", data=b"x", headers={"Origin": ORIGIN})
    assert response.status_code == 400
    assert allowed(response) == ("*", None, "*")


def test_several_origins(serve, tmp_path):
    server = serve(store=fill(tmp_path / "store"),
                   cors_allowed_origin=f"{ORIGIN}, https://other.example")
    for origin, answer in ((ORIGIN, ORIGIN), ("https://other.example", "https://other.example"),
                           ("https://evil.example", None), (None, None)):
        response = server.get("/ping", headers={"Origin": origin} if origin else {})
        assert (allowed(response)[0], response.headers["vary"]) == (answer, "Origin")


def test_without_settings_nothing_is_said(serve, tmp_path):
    server = serve(store=fill(tmp_path / "store"))
    assert allowed(server.get("/ping", headers={"Origin": ORIGIN})) == (None, None, None)
    response = server.call("OPTIONS", "/ping", headers=PREFLIGHT)
    assert allowed(response) == (None, None, None) and response.content != b""
