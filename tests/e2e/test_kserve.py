# SPDX-License-Identifier: Apache-2.0
"""KServe's protocols, version 1 and 2, over REST: routes, envelopes, readiness."""

import json

import pytest

from e2e.archives import make_mar
from e2e.server import assert_error, free_ports

NOT_FOUND = "Requested resource is not found, please refer to API document."

PLUS_ONE = """
def handle(data, context):
    if data is None:
        return None
    if context.get_request_header(0, "explain") == "True":
        return ["why " + str(row) for row in data]
    return [row + 1 for row in data]
"""

TENSORS = """
def handle(data, context):
    if data is None:
        return None
    return [[2 * x for x in tensor["data"]] for tensor in data]
"""


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "see", "see.py")
    make_mar(store, "twice", "see.py", file="twice-1.mar", version="1.0")
    make_mar(store, "twice", "see.py", file="twice-2.mar", version="2.0")
    return module_serve(store=store, ts_open_inference_protocol=True)


@pytest.fixture(scope="module")
def plain(module_serve, module_tmp):
    """Without the Open Inference Protocol."""
    make_mar(module_tmp / "plain", "see", "see.py")
    return module_serve(store=module_tmp / "plain")


def headers_seen(response):
    assert response.status_code == 200, response.text
    return response.json()["headers"]


# ---- what runs a model ----

@pytest.mark.parametrize("path,explain", [
    ("/v1/models/see:predict", "False"), ("/v1/models/see:explain", "True"),
    ("/v2/models/see/infer", "False"), ("/v2/models/see/explain", "True"),
    ("/v2/models/see:anything/infer", "False"), ("/v2/models/see/versions/1.0/infer", "False"),
    ("/v2/models/see/versions/1.0/explain", "True")])
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_inference_routes(server, method, path, explain):
    headers = headers_seen(server.call(method, path, data=b"x"))
    assert headers["explain"] == explain
    assert "url_path" not in headers


@pytest.mark.parametrize("path", ["/v1/models/see:predict", "/v2/models/see/infer"])
def test_without_an_envelope_the_body_is_the_handlers_own(plain, path):
    response = plain.call("POST", path + "?a=1", data=b'{"instances": []}',
                          headers={"Content-Type": "application/json"})
    assert response.json()["fields"] == [["body", "dict", {"instances": []}]]


def test_versions(server):
    for version in ("1.0", "2.0"):
        response = server.call("POST", f"/v2/models/twice/versions/{version}/infer", data=b"x")
        assert response.json()["version"] == version


@pytest.mark.parametrize("path,kind,message", [
    ("/v1/models/none:predict", "ModelNotFoundException", "Model not found: none"),
    ("/v2/models/none/infer", "ModelNotFoundException", "Model not found: none"),
    ("/v2/models/see/versions/7/infer", "ModelVersionNotFoundException",
     "Model version: 7 does not exist for model: see"),
    ("/v1/models/see:other", "ResourceNotFoundException", NOT_FOUND),
    ("/v1/models/see", "ResourceNotFoundException", NOT_FOUND),
    ("/v1/models/see:predict/more", "ResourceNotFoundException", NOT_FOUND),
    ("/v2/models/see/other", "ResourceNotFoundException", NOT_FOUND),
    ("/v2/models/see/infer/more", "ResourceNotFoundException", NOT_FOUND),
    ("/v2/models", "ResourceNotFoundException", NOT_FOUND),
    ("/v2/health", "ResourceNotFoundException", NOT_FOUND),
])
def test_what_is_not_there(server, path, kind, message):
    assert_error(server.call("POST", path, data=b"x"), 404, kind, message)


@pytest.mark.parametrize("path", [
    "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/see", "/v2/models/see/ready",
    "/v2/models/see/versions/1.0/infer"])
def test_version_2_is_an_option(plain, path):
    assert_error(plain.get(path), 404, "ResourceNotFoundException", NOT_FOUND)


# ---- envelopes ----

def test_kserve_envelope(serve, tmp_path):
    make_mar(tmp_path, "plus", PLUS_ONE)
    server = serve(store=tmp_path, service_envelope="kserve")
    body = json.dumps({"instances": [1, 2, 3]})
    for headers in ({}, {"Content-Type": "application/json"}):
        response = server.call("POST", "/v1/models/plus:predict", data=body, headers=headers)
        assert response.json() == {"predictions": [2, 3, 4]}
    response = server.call("POST", "/v1/models/plus:explain", data=body)
    assert response.json() == {"explanations": ["why 1", "why 2", "why 3"]}


def test_json_envelope_joins_the_instances(serve, tmp_path):
    make_mar(tmp_path, "plus", PLUS_ONE)
    server = serve(store=tmp_path, service_envelope="json")
    response = server.call("POST", "/v1/models/plus:predict", data='{"instances": [4, 5]}',
                           headers={"Content-Type": "application/json"})
    assert response.json() == {"predictions": [5, 6]}


def test_kservev2_envelope(serve, tmp_path):
    pytest.importorskip("numpy")
    make_mar(tmp_path, "tensors", TENSORS, envelope="kservev2")
    server = serve(store=tmp_path)
    tensor = {"name": "in", "shape": [3], "datatype": "INT64", "data": [1, 2, 3]}
    response = server.call("POST", "/v2/models/tensors/infer",
                           data=json.dumps({"id": "own", "inputs": [tensor]}),
                           headers={"Content-Type": "application/json"})
    assert list(response.json()) == ["id", "model_name", "model_version", "outputs"]
    assert response.json() == {
        "id": "own", "model_name": "tensors", "model_version": "1.0",
        "outputs": [{"name": "in", "datatype": "INT64", "data": [2, 4, 6], "shape": [3]}]}


def test_kservev2_envelope_names_the_request_where_the_client_does_not(serve, tmp_path):
    pytest.importorskip("numpy")
    make_mar(tmp_path, "tensors", TENSORS)
    server = serve(store=tmp_path, service_envelope="kservev2")
    tensor = {"name": "in", "shape": [1], "datatype": "FP32", "data": [1.5]}
    for headers in ({}, {"x-request-id": "mine"}):
        response = server.call("POST", "/v2/models/tensors/infer", headers=headers,
                               data=json.dumps({"inputs": [tensor]}))
        assert response.json()["id"] == response.headers["x-request-id"]


# ---- who serves, and is it ready ----

def test_server_metadata(server):
    assert server.get("/v2").json() == {
        "name": "Torchserve", "version": "0.12.0", "extenstion": ["kserve", "kubeflow"],
        "extensions": ["kserve", "kubeflow"]}


@pytest.mark.parametrize("path,key", [("/v2/health/live", "live"), ("/v2/health/ready", "ready")])
def test_health(server, path, key):
    response = server.get(path)
    assert (response.status_code, response.json()) == (200, {key: True})
    assert response.headers["content-type"] == "application/json"


def test_model_metadata(server):
    document = {"name": "twice", "versions": ["2.0"], "platform": "", "inputs": [], "outputs": []}
    assert server.get("/v2/models/twice/versions/2.0").json() == document
    document = server.get("/v2/models/twice").json()
    assert sorted(document.pop("versions")) == ["1.0", "2.0"]
    assert document == {"name": "twice", "platform": "", "inputs": [], "outputs": []}


def test_model_readiness(server):
    for path in ("/v2/models/see/ready", "/v2/models/see/versions/1.0/ready"):
        assert server.get(path).json() == {"name": "see", "ready": True}
    assert server.get("/v2/models/none/ready").status_code == 404


def test_version_1_readiness_is_a_management_call(server):
    response = server.manage("GET", "/v1/models/see")
    assert response.text == '{\n  "name": "see",\n  "ready": true\n}\n'
    assert server.manage("GET", "/v1/models").json() == {"models": ["see", "twice"]}
    assert_error(server.manage("GET", "/v1/models/none"), 404, "ModelNotFoundException",
                 "Model not found: none")
    for path in ("/v1/models", "/v1/models/see"):
        assert_error(server.manage("POST", path), 405, "MethodNotAllowedException",
                     "Requested method is not allowed, please refer to API document.")


def test_model_without_workers_is_not_ready(serve, tmp_path):
    make_mar(tmp_path, "idle", "echo.py")
    server = serve(store=tmp_path, load_models=None, ts_open_inference_protocol=True)
    assert server.register("idle.mar", initial_workers=0).status_code == 200
    assert server.manage("GET", "/v1/models/idle").json() == {"name": "idle", "ready": False}
    response = server.get("/v2/models/idle/ready")
    assert (response.status_code, response.json()) == (503, {"name": "idle", "ready": False})


def test_one_listener_for_all_as_kserve_has_it(serve, tmp_path):
    make_mar(tmp_path, "see", "see.py")
    port = free_ports(1)[0]
    address = f"http://127.0.0.1:{port}"
    server = serve(store=tmp_path, inference_address=address, management_address=address,
                   wait=False)
    server.inference = server.management = port
    server.wait_ready()
    assert server.get("/v1/models/see").json() == {"name": "see", "ready": True}
    assert server.call("POST", "/v1/models/see:predict", data=b"x").status_code == 200
    assert server.get("/models/see/1.0").json()[0]["modelName"] == "see"
