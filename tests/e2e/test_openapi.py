# SPDX-License-Identifier: Apache-2.0
"""The API describes itself, and what it describes is there."""

import re

import pytest
import requests

from e2e.archives import make_mar
from e2e.server import assert_error, eventually

METHODS = {"get", "put", "post", "delete", "options"}


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    make_mar(module_tmp, "echo", "echo.py")
    return module_serve(store=module_tmp)


def described(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert document["openapi"] == "3.0.1"
    assert {"title", "version"} <= set(document["info"])
    for path, operations in document["paths"].items():
        assert path.startswith("/") and operations and set(operations) <= METHODS
        for operation in operations.values():
            well_formed(path, operation)
    return document


def well_formed(path, operation):
    assert {"description", "operationId", "parameters", "responses"} <= set(operation)
    for parameter in operation["parameters"]:
        assert parameter["in"] in ("path", "query") and parameter["schema"]["type"]
    in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
    assert in_path <= set(re.findall(r"{(\w+)}", path))
    for status, answer in operation["responses"].items():
        assert 200 <= int(status) < 600 and answer["description"]
        for media in answer.get("content", {}).values():
            schema = media["schema"]
            assert set(schema.get("required", ())) <= set(schema.get("properties", ()))


def listener(server, kind):
    port = {"inference": server.inference, "management": server.management,
            "metrics": server.metrics_port}[kind]
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("kind,paths", [
    ("inference", {"/", "/ping", "/predictions/{model_name}", "/explanations/{model_name}",
                   "/predictions/{model_name}/{model_version}",
                   "/v1/models/{model_name}:predict", "/v2/models/{model_name}/infer"}),
    ("management", {"/", "/models", "/models/{model_name}", "/models/{model_name}/{model_version}",
                    "/models/{model_name}/{model_version}/set-default"}),
    ("metrics", {"/", "/metrics"}),
])
def test_listener(server, kind, paths):
    document = described(requests.options(listener(server, kind) + "/", timeout=10))
    assert paths <= set(document["paths"])
    for method in ("GET", "POST", "OPTIONS"):
        again = requests.request(method, listener(server, kind) + "/api-description", timeout=10)
        assert described(again) == document
    assert_error(requests.get(listener(server, kind) + "/", timeout=10), 405,
                 "MethodNotAllowedException",
                 "Requested method is not allowed, please refer to API document.")


def test_what_is_described_is_there(server):
    for kind in ("inference", "management", "metrics"):
        for path, operations in described(server_options(server, kind))["paths"].items():
            path = path.replace("{model_name}", "echo").replace("{model_version}", "1.0")
            for method in set(operations) - {"delete", "options"}:
                response = requests.request(method, listener(server, kind) + path, timeout=10)
                assert response.status_code not in (404, 405) or "/token" in path, path


def server_options(server, kind):
    return requests.options(listener(server, kind) + "/", timeout=10)


def test_model(server):
    document = described(server.call("OPTIONS", "/predictions/echo"))
    assert document["info"] == {"title": "RESTful API for: echo", "version": "1.0.0"}
    assert list(document["paths"]) == ["/predictions/echo", "/prediction/echo",
                                       "/v1/models/{model_name}:predict",
                                       "/v2/models/{model_name}/infer"]
    for path in ("/predictions/echo/1.0", "/explanations/echo", "/models/echo/invoke",
                 "/invocations?model_name=echo", "/v1/models/echo:predict", "/echo/predict"):
        assert described(server.call("OPTIONS", path)) == document
    assert_error(server.call("OPTIONS", "/predictions/nobody"), 404, "ModelNotFoundException",
                 "Model not found: nobody")


def test_model_management(server):
    document = described(server.manage("OPTIONS", "/models/echo"))
    assert document["info"]["title"] == "RESTful Management API for: echo"
    assert set(document["paths"]["/models/{model_name}"]) == {"get", "put", "delete"}
    assert_error(server.manage("OPTIONS", "/models/echo/9"), 404, "ModelVersionNotFoundException",
                 "Model version: 9 does not exist for model: echo")


def test_no_key_is_needed(serve):
    server = serve(disable_token_authorization=False, wait=False, load_models=None)
    eventually(lambda: "Model server started." in server.log("ts_log.log"))
    for kind in ("inference", "management", "metrics"):
        described(server_options(server, kind))
