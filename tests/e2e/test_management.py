# SPDX-License-Identifier: Apache-2.0
"""The management API: documents, texts, statuses and what they do to running models."""

import json
import os
import re
from pathlib import Path

import pytest
import requests

from e2e.archives import make_folder, make_mar
from e2e.client import Raw, encode
from e2e.gate import Gate, background
from e2e.server import assert_error, assert_status, eventually, free_ports

NOT_FOUND = "ModelNotFoundException"
NO_VERSION = "ModelVersionNotFoundException"
PROCESSING = "Processing worker updates..."

MEMBERS = [
    "modelName", "modelVersion", "modelUrl", "runtime", "minWorkers", "maxWorkers", "batchSize",
    "maxBatchDelay", "responseTimeout", "startupTimeout", "maxRetryTimeoutInSec",
    "clientTimeoutInMills", "parallelType", "parallelLevel", "deviceType", "continuousBatching",
    "useJobTicket", "useVenv", "stateful", "sequenceMaxIdleMSec", "sequenceTimeoutMSec",
    "maxNumSequence", "maxSequenceJobQueueSize", "loadedAtStartup", "workers", "jobQueueStatus"]
WORKER = ["id", "startTime", "status", "memoryUsage", "pid", "gpu", "gpuUsage"]


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "echo", "echo.py")
    make_mar(store, "other", "see.py")
    make_mar(store, "count", "count.py")
    make_mar(store, "bad_init", "bad_init.py")
    make_mar(store, "bad_import", "bad_import.py")
    make_mar(store, "v1", "see.py", version="1.0")
    make_mar(store, "v2", "see.py", version="2.0", file="v2.mar")
    make_mar(store, "configured", "see.py", config=(
        "minWorkers: 2\nmaxWorkers: 3\nbatchSize: 4\nmaxBatchDelay: 7\nresponseTimeout: 33\n"
        "startupTimeout: 44\nmaxRetryTimeoutInSec: 55\nclientTimeoutInMills: 6000\n"
        "deviceType: cpu\njobQueueSize: 17\n"))
    make_folder(store.parent / "store-beside", "outside", "echo.py")
    make_folder(store.parent / "elsewhere", "outside", "echo.py")
    return module_serve(store=store, load_models="echo.mar,other.mar",
                        allowed_urls="https://models\\.example/.*")


@pytest.fixture
def clean(server):
    """Afterwards only the models of the start are there."""
    yield
    for name in server.models():
        if name in ("echo", "other"):
            continue
        for version in sorted((v["modelVersion"] for v in server.describe(name, "all")),
                              key=lambda v: v == server.describe(name)[0]["modelVersion"]):
            assert server.manage("DELETE", f"/models/{name}/{version}").status_code == 200


# ---- list ----

def test_list(server):
    response = server.manage("GET", "/models")
    assert response.headers["content-type"] == "application/json"
    assert response.text == ('{\n  "models": [\n    {\n      "modelName": "echo",\n'
                             '      "modelUrl": "echo.mar"\n    },\n    {\n'
                             '      "modelName": "other",\n      "modelUrl": "other.mar"\n    }\n'
                             '  ]\n}\n')


@pytest.mark.parametrize("query,token,names", [
    ("?limit=1", "1", ["echo"]),
    ("?limit=1&next_page_token=1", None, ["other"]),
    ("?limit=2", None, ["echo", "other"]),
    ("?limit=0", "0", []),
    ("?next_page_token=2147483647", None, []),
    ("?limit=3", None, ["echo", "other"]),
    ("?limit=1&next_page_token=2", None, []),
    ("?next_page_token=50", None, []),
    ("?limit=-1", None, ["echo", "other"]),
    ("?limit=1000", None, ["echo", "other"]),
    ("?limit=many&next_page_token=none", None, ["echo", "other"]),
    ("?next_page_token=-5", None, ["echo", "other"]),
])
def test_list_pages(server, query, token, names):
    page = server.manage("GET", "/models" + query).json()
    assert page.get("nextPageToken") == token
    assert [m["modelName"] for m in page["models"]] == names


# ---- describe ----

def test_describe(server):
    response = server.manage("GET", "/models/echo")
    assert response.text.startswith('[\n  {\n    "modelName": "echo",\n    "modelVersion": "1.0"')
    model, = response.json()
    assert list(model) == MEMBERS
    worker, = model.pop("workers")
    assert list(worker) == WORKER
    assert re.fullmatch(r"9\d{3}", worker["id"]) and worker["pid"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", worker["startTime"])
    assert worker["status"] == "READY" and worker["gpu"] is False
    assert isinstance(worker["memoryUsage"], int)
    assert model == {
        "modelName": "echo", "modelVersion": "1.0", "modelUrl": "echo.mar", "runtime": "python",
        "minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100,
        "responseTimeout": 120, "startupTimeout": 120, "maxRetryTimeoutInSec": 300,
        "clientTimeoutInMills": 0, "parallelType": "", "parallelLevel": 0, "deviceType": "cpu",
        "continuousBatching": False, "useJobTicket": False, "useVenv": False, "stateful": False,
        "sequenceMaxIdleMSec": 0, "sequenceTimeoutMSec": 0, "maxNumSequence": 0,
        "maxSequenceJobQueueSize": 0, "loadedAtStartup": True,
        "jobQueueStatus": {"remainingCapacity": 100, "pendingRequests": 0}}


def test_describe_what_a_config_file_says(server, clean):
    assert server.register("configured.mar").status_code == 200
    model, = server.describe("configured")
    assert len(model["workers"]) == 2
    expected = {"minWorkers": 2, "maxWorkers": 3, "batchSize": 4, "maxBatchDelay": 7,
                "responseTimeout": 33, "startupTimeout": 44, "maxRetryTimeoutInSec": 55,
                "clientTimeoutInMills": 6000, "deviceType": "cpu", "loadedAtStartup": False}
    assert {k: model[k] for k in expected} == expected
    assert model["jobQueueStatus"] == {"remainingCapacity": 17, "pendingRequests": 0}


def test_describe_all_in_the_order_of_registration(server, clean, module_tmp):
    for version in ("3.0", "0.1", "2.0"):
        make_mar(server.store, "many", "echo.py", file=f"many-{version}.mar", version=version)
        assert server.register(f"many-{version}.mar").status_code == 200
    assert [v["modelVersion"] for v in server.describe("many", "all")] == ["3.0", "0.1", "2.0"]


def test_describe_customized(server, clean):
    assert server.register("count.mar", initial_workers=1).status_code == 200
    model, = server.manage("GET", "/models/count?customized=true").json()
    assert list(model)[-1] == "customizedMetadata"
    assert model["customizedMetadata"] == {"calls": 0, "nested": {"a": [1, 2]}}


def test_describe_customized_is_bounded(server, clean, module_tmp):
    make_mar(server.store, "deep", """
def handle(data, context):
    if data is None:
        return None
    return ['{"a":' + depth * "[" + depth * "]" + "}"]

depth = 200_000
""")
    assert server.register("deep.mar", initial_workers=1).status_code == 200
    answer = server.manage("GET", "/models/deep?customized=true")
    assert answer.status_code == 200 and 400_000 < len(answer.content) < 500_000
    make_mar(server.store, "wide", """
def handle(data, context):
    return data and ['{"a":"' + (1 << 20) * "x" + '"}']
""")
    assert server.register("wide.mar", initial_workers=1).status_code == 200
    assert_error(server.manage("GET", "/models/wide?customized=true"), 500,
                 "InternalServerException",
                 "Failed to get customized model matadata. It is larger than 1 MiB.")


def test_describe_customized_without_worker(server, clean):
    assert server.register("count.mar", initial_workers=0).status_code == 200
    assert_error(server.manage("GET", "/models/count?customized=true"), 503,
                 "ServiceUnavailableException",
                 'Model "count" has no worker to serve describe request. Please use scale workers '
                 'API to add workers.')


@pytest.mark.parametrize("method,path,code,kind,message", [
    ("GET", "/models/nobody", 404, NOT_FOUND, "Model not found: nobody"),
    ("GET", "/models/nobody/all", 404, NOT_FOUND, "Model not found: nobody"),
    ("GET", "/models/echo/7.7", 404, NO_VERSION,
     "Model version: 7.7 does not exist for model: echo"),
    ("PUT", "/models/nobody", 404, NOT_FOUND, "Model not found: nobody"),
    ("PUT", "/models/echo/7.7", 404, NO_VERSION,
     "Model version: 7.7 does not exist for model: echo"),
    ("PUT", "/models/echo?min_worker=3&max_worker=2", 400, "BadRequestException",
     "max_worker cannot be less than min_worker."),
    *(("PUT", f"/models/echo?min_worker={n}", 400, "BadRequestException",
       "min_worker and max_worker must be between 0 and 4096.") for n in (-1, 4097)),
    ("PUT", "/models/nobody/1.0/set-default", 404, NOT_FOUND, "Model not found: nobody"),
    ("PUT", "/models/echo/7.7/set-default", 404, NO_VERSION,
     "Model version 7.7 does not exist for model echo"),
    ("DELETE", "/models/nobody", 404, NOT_FOUND, "Model not found: nobody"),
    ("DELETE", "/models/echo/7.7", 404, NO_VERSION,
     "Model version: 7.7 does not exist for model: echo"),
    ("POST", "/models", 400, "BadRequestException", "Parameter url is required."),
    ("POST", "/models?url=", 404, NOT_FOUND, "empty url"),
    ("POST", "/models?url=../echo.mar", 404, NOT_FOUND,
     "Relative path is not allowed in url: ../echo.mar"),
    ("POST", "/models?url=a/../echo.mar", 404, NOT_FOUND,
     "Relative path is not allowed in url: a/../echo.mar"),
    ("POST", "/models?url=absent.mar", 404, NOT_FOUND, "Model not found at: absent.mar"),
    ("POST", "/models?url=ftp://x/y.mar", 404, NOT_FOUND, "Model not found at: ftp://x/y.mar"),
    ("POST", "/models?url=http://evil.example/y.mar", 404, NOT_FOUND,
     "Given URL http://evil.example/y.mar does not match any allowed URL(s)"),
    ("POST", "/models?url=file:///etc/passwd", 404, NOT_FOUND,
     "Given URL file:///etc/passwd does not match any allowed URL(s)"),
    ("POST", "/models?url=/etc/passwd", 404, NOT_FOUND, "Model not found at: /etc/passwd"),
    ("POST", "/models?url=count.mar&runtime=perl", 400, "BadRequestException",
     "Invalid RuntimeType value: perl"),
    ("POST", "/models?url=echo.mar", 409, "ConflictStatusException",
     "Model version 1.0 is already registered for model echo"),
    ("POST", "/models/echo", 405, "MethodNotAllowedException",
     "Requested method is not allowed, please refer to API document."),
    ("PUT", "/models", 405, "MethodNotAllowedException",
     "Requested method is not allowed, please refer to API document."),
    ("GET", "/no/such", 404, "ResourceNotFoundException",
     "Requested resource is not found, please refer to API document."),
])
def test_errors(server, method, path, code, kind, message):
    assert_error(server.manage(method, path), code, kind, message)
    assert server.models() == ["echo", "other"]


@pytest.mark.parametrize("place", ["store-beside", "elsewhere"])
def test_a_path_outside_the_store_is_not_reachable(server, place):
    path = server.store.parent / place / "outside"
    assert_error(server.register(path), 404, NOT_FOUND, f"Model not found at: {path}")


@pytest.mark.parametrize("query", ["min_worker=-1", "min_worker=x", "max_worker=-7",
                                   "min_worker=99999999999999999999"])
def test_absurd_worker_counts(server, query):
    response = server.manage("PUT", f"/models/echo?{query}")
    assert response.status_code in (202, 400)
    assert server.manage("PUT", "/models/echo?min_worker=1&synchronous=true").status_code == 200
    assert len(server.describe("echo")[0]["workers"]) == 1


# ---- register ----

def test_register_without_workers(server, clean):
    assert_status(server.register("count.mar", initial_workers=0), 200,
                  'Model "count" Version: 1.0 registered with 0 initial workers. Use scale workers '
                  'API to add workers for the model.')
    assert server.describe("count")[0]["workers"] == []


def test_register_waits_for_the_workers(server, clean):
    assert_status(server.register("count.mar", initial_workers=2), 200,
                  'Model "count" Version: 1.0 registered with 2 initial workers')
    assert [w["status"] for w in server.describe("count")[0]["workers"]] == ["READY"] * 2
    assert server.predict("count", b"").status_code == 200


def test_register_asynchronously(server, clean):
    assert_status(server.register("count.mar", initial_workers=1, synchronous="false"), 202,
                  PROCESSING)
    eventually(lambda: server.model_ready("count"))
    assert server.predict("count", b"").status_code == 200


def test_register_with_parameters(server, clean):
    response = server.register("other.mar", model_name="renamed", batch_size=3, max_batch_delay=9,
                               response_timeout=21, startup_timeout=31, initial_workers=1)
    assert_status(response, 200, 'Model "renamed" Version: 1.0 registered with 1 initial workers')
    model, = server.describe("renamed")
    assert (model["batchSize"], model["maxBatchDelay"], model["responseTimeout"],
            model["startupTimeout"]) == (3, 9, 21, 31)
    assert server.predict("renamed", b"").json()["model"] == "renamed"


def test_register_with_another_handler(server, clean):
    response = server.register("other.mar", model_name="elsewhere", handler="see:describe",
                               initial_workers=0)
    assert response.status_code == 200


@pytest.mark.parametrize("body", [
    {"url": "count.mar", "initial_workers": 1, "synchronous": True},
    {"url": "count.mar", "initial_workers": "1", "synchronous": "true"}])
def test_register_by_json(server, clean, body):
    response = server.manage("POST", "/models?url=ignored.mar", json=body)
    assert_status(response, 200, 'Model "count" Version: 1.0 registered with 1 initial workers')
    assert server.describe("count")[0]["maxBatchDelay"] == 100


def test_json_is_read_leniently(server, clean):
    body = "{'url':'count.mar', initial_workers=1; # as Gson does\n'synchronous':true}"
    response = server.manage("POST", "/models", data=body,
                             headers={"Content-Type": "application/json"})
    assert_status(response, 200, 'Model "count" Version: 1.0 registered with 1 initial workers')


def test_json_of_many_members(server, clean):
    """Reading them is linear in their number: all other clients wait meanwhile."""
    body = ",".join(f'"{i}":1' for i in range(6_000))
    response = requests.post(f"http://127.0.0.1:{server.management}/models",
                             data="{" + body + ',"url":"nowhere.mar"}', timeout=10,
                             headers={"Content-Type": "application/json"})
    assert_error(response, 404, NOT_FOUND, "Model not found at: nowhere.mar")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"url": {}}', b"\xff"])
def test_register_by_malformed_json(server, body):
    response = server.manage("POST", "/models", data=body,
                             headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["type"] == "BadRequestException"
    assert server.models() == ["echo", "other"]


@pytest.mark.parametrize("name,reason", [
    ("bad_init", "RuntimeError: the weights are not where they should be (bad_init.py, line 7)"),
    ("bad_import", "ModuleNotFoundError: No module named 'a_module_that_nobody_has' "
     "(bad_import.py, line 4)")])
def test_register_what_cannot_load_leaves_nothing(server, name, reason):
    for _ in range(2):
        response = server.register(f"{name}.mar", initial_workers=1)
        assert_error(response, 500, "InternalServerException",
                     f"Failed to start workers for model {name} version: 1.0. {reason}")
        eventually(lambda: name not in server.models())
    eventually(lambda: reason.partition(" (")[0] in server.log("model_log.log"))
    eventually(lambda: re.search(rf"{name}.*{re.escape(reason)}", server.log("ts_log.log")))


def test_more_initial_workers_than_a_model_may_have(server, clean):
    """Refused, not cut: whoever asked would never know."""
    assert_error(server.register("count.mar", initial_workers=4097), 400, "BadRequestException",
                 "initial_workers must be at most 4096.")


# ---- scale ----

def test_scale(server, clean):
    assert server.register("count.mar", initial_workers=0).status_code == 200
    assert_status(server.manage("PUT", "/models/count?min_worker=2"), 202, PROCESSING)
    eventually(lambda: len(server.worker_pids("count")) == 2)
    assert_status(server.manage("PUT", "/models/count?min_worker=3&synchronous=true"), 200,
                  "Workers scaled to 3 for model: count")
    assert len(server.worker_pids("count")) == 3
    assert_status(server.manage("PUT", "/models/count/1.0?min_worker=1&synchronous=true"), 200,
                  "Workers scaled to 1 for model: count, version: 1.0")
    eventually(lambda: len(server.describe("count")[0]["workers"]) == 1)
    model, = server.describe("count")
    assert (model["minWorkers"], model["maxWorkers"]) == (1, 1)
    assert server.manage("PUT", "/models/count?min_worker=1&max_worker=4&number_gpu=1&timeout=1"
                         "&synchronous=true").status_code == 200
    model, = server.describe("count")
    assert (model["minWorkers"], model["maxWorkers"], len(model["workers"])) == (1, 4, 1)


def test_scale_by_parameter_version(server, clean):
    assert server.register("count.mar", initial_workers=0).status_code == 200
    assert_status(server.manage("PUT", "/models/count?model_version=1.0&synchronous=true"), 200,
                  "Workers scaled to 1 for model: count, version: 1.0")


def test_scale_what_cannot_load(server, clean):
    assert server.register("bad_init.mar", initial_workers=0).status_code == 200
    assert_error(server.manage("PUT", "/models/bad_init?min_worker=1&synchronous=true"), 500,
                 "InternalServerException",
                 "Failed to start workers for model bad_init version: null. RuntimeError: the "
                 "weights are not where they should be (bad_init.py, line 7)")


# ---- versions ----

def test_versions_side_by_side(server, clean):
    for file in ("v1.mar", "v2.mar"):
        assert server.register(file, model_name="pair", initial_workers=1).status_code == 200
    assert [v["modelVersion"] for v in server.describe("pair", "all")] == ["1.0", "2.0"]
    assert server.predict("pair", b"").json()["version"] == "1.0"
    assert server.predict("pair/2.0", b"").json()["version"] == "2.0"
    assert [m for m in server.models() if m == "pair"] == ["pair"]

    assert_error(server.manage("DELETE", "/models/pair/1.0"), 403, "InvalidModelVersionException",
                 "Cannot remove default version for model pair")
    assert_status(server.manage("PUT", "/models/pair/2.0/set-default"), 200,
                  'Default version successfully updated for model "pair" to "2.0"')
    assert server.predict("pair", b"").json()["version"] == "2.0"
    assert_status(server.manage("DELETE", "/models/pair/1.0"), 200, 'Model "pair" unregistered')
    assert_error(server.get("/predictions/pair/1.0"), 404, NO_VERSION,
                 "Model version: 1.0 does not exist for model: pair")
    assert server.predict("pair", b"").json()["version"] == "2.0"


# ---- unregister ----

def test_unregister(server, clean):
    assert server.register("count.mar", initial_workers=1).status_code == 200
    folder = server.predict("count", b"").json()["dir"]
    assert_status(server.manage("DELETE", "/models/count?synchronous=false&timeout=1"), 200,
                  'Model "count" unregistered')
    assert_error(server.predict("count", b""), 404, NOT_FOUND, "Model not found: count")
    assert server.models() == ["echo", "other"]
    eventually(lambda: not Path(folder).exists(), "the unpacked archive is removed")
    assert server.register("count.mar", initial_workers=1).status_code == 200


# ---- others ----

def test_kserve_readiness(server, clean):
    assert server.manage("GET", "/v1/models/echo").json() == {"name": "echo", "ready": True}
    assert server.register("count.mar", initial_workers=0).status_code == 200
    assert server.manage("GET", "/v1/models/count").json() == {"name": "count", "ready": False}
    assert_error(server.manage("GET", "/v1/models/nobody"), 404, NOT_FOUND,
                 "Model not found: nobody")


def test_options(server):
    assert server.manage("OPTIONS", "/models/echo").json()["openapi"] == "3.0.1"
    assert server.manage("OPTIONS", "/").json()["openapi"] == "3.0.1"
    assert_error(server.manage("OPTIONS", "/models/nobody"), 404, NOT_FOUND,
                 "Model not found: nobody")


def test_inference_is_not_on_the_management_listener(server):
    assert_error(server.manage("POST", "/predictions/echo"), 404, "ResourceNotFoundException",
                 "Requested resource is not found, please refer to API document.")
    response = requests.get(f"http://127.0.0.1:{server.inference}/models", timeout=10)
    assert response.status_code == 404


def test_registration_is_off_by_default(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, enable_model_api=None)
    for method, path in (("POST", "/models?url=echo.mar"), ("DELETE", "/models/echo")):
        assert_error(server.manage(method, path), 405, "MethodNotAllowedException",
                     "Requested method is not allowed, please refer to API document. Models are "
                     "registered and unregistered only where the server was started with "
                     "enable_model_api=true (--enable-model-api)")
    assert server.predict("echo", b"x").text == "x"


def test_without_a_default_registration_starts_no_workers(serve, tmp_path):
    """… but the models of the start get a worker per CPU."""
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, default_workers_per_model=None)
    assert len(server.worker_pids("echo")) == len(os.sched_getaffinity(0))
    assert_status(server.register("echo.mar", model_name="later"), 200,
                  'Model "later" Version: 1.0 registered with 0 initial workers. Use scale workers '
                  'API to add workers for the model.')


def test_one_address_for_everything(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    port, = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    server = serve(store=tmp_path, inference_address=address, management_address=address,
                   wait=False)
    server.inference = server.management = port
    server.wait_ready()
    assert server.predict("echo", b"x").text == "x"
    assert server.describe("echo")[0]["modelName"] == "echo"


STUCK = '''
class Stuck:
    def initialize(self, context):
        open({calls!r}, "a").write("x\\n")
        open({fifo!r}, "rb").read()

    def handle(self, data, context):
        return data
'''


def stuck(folder, name, gate):
    """A model whose workers load for as long as the gate is shut."""
    make_mar(folder, name, STUCK.format(calls=str(gate.calls), fifo=gate.fifo))


def test_unregistering_ends_a_registration_that_waits(serve, tmp_path, gate):
    stuck(tmp_path, "stuck", gate)
    server = serve(store=tmp_path, load_models=None)
    registering = background(server.register, "stuck.mar", initial_workers=1)
    gate.wait_entered()
    scaling = background(server.manage, "PUT", "/models/stuck?min_worker=2&synchronous=true")
    gate.wait_entered(2)
    assert_status(server.manage("DELETE", "/models/stuck"), 200, 'Model "stuck" unregistered')
    assert_error(registering.result(), 500, "InternalServerException",
                 "Failed to start workers for model stuck version: 1.0: "
                 "it was unregistered meanwhile")
    assert_error(scaling.result(), 500, "InternalServerException",
                 "Failed to start workers for model stuck version: null: "
                 "it was unregistered meanwhile")
    assert server.models() == []


def test_a_client_that_leaves_while_workers_load_leaves_nothing(serve, tmp_path, gate):
    """Its id is free again: nothing of its call is kept."""
    stuck(tmp_path, "stuck", gate)
    server = serve(store=tmp_path, load_models=None)
    server.register("stuck.mar", initial_workers=1, synchronous=False)
    gate.wait_entered()
    own = {"X-Request-ID": "mine"}
    scaling = "/models/stuck?min_worker=1&synchronous=true"
    with Raw(server.management) as raw:
        raw.send(encode("PUT", scaling, headers=own))
        eventually(lambda: server.get("/ping", headers=own).headers["x-request-id"] != "mine")
    eventually(lambda: server.get("/ping", headers=own).headers["x-request-id"] == "mine")
    waiting = background(server.manage, "PUT", scaling)
    gate.open()
    assert_status(waiting.result(), 200, "Workers scaled to 1 for model: stuck")


def test_stopping_ends_a_registration_that_waits(serve, tmp_path, gate):
    stuck(tmp_path, "stuck", gate)
    server = serve(store=tmp_path, load_models=None, drain_timeout=1)
    registering = background(server.register, "stuck.mar", initial_workers=1)
    gate.wait_entered()
    server.stop()
    assert_error(registering.result(), 503, "ServiceUnavailableException",
                 "The server is stopping, and the model is not registered")


def test_describe_customized_of_what_is_unregistered_meanwhile(serve, tmp_path, gate):
    """… and whose handler answers in pieces, behind a slow call on the same connection."""
    second = Gate(tmp_path, "second")
    make_mar(tmp_path / "store", "slow", "gate.py")
    make_mar(tmp_path / "store", "chatty", f'''
import json
from ts.handler_utils.utils import send_intermediate_predict_response


def handle(data, context):
    if data is None:
        return None
    send_intermediate_predict_response(["piece"], context.request_ids, "OK", 200, context)
    open({str(second.calls)!r}, "a").write("x\\n")
    open({second.fifo!r}, "rb").read()
    return [{{"said": True}}]
''')
    port, = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    server = serve(store=tmp_path / "store", inference_address=address,
                   management_address=address, wait=False)
    server.inference = server.management = port
    server.wait_ready()
    with server.raw() as client:
        client.send(encode("POST", "/predictions/slow", gate.body())
                    + encode("GET", "/models/chatty?customized=true"))
        gate.wait_entered()
        second.wait_entered()
        deleting = background(server.manage, "DELETE", "/models/chatty")
        eventually(lambda: server.models() == ["slow"])
        second.open()
        assert deleting.result().status_code == 200
        gate.open()
        assert client.response().status == 200
        described = client.response()
    assert described.status == 200
    model, = json.loads(described.text)
    assert (model["modelName"], model["customizedMetadata"]) == ("chatty", {"said": True})


def test_more_workers_than_a_model_may_have(serve, tmp_path):
    make_mar(tmp_path, "many", "echo.py", config="minWorkers: 2147483647\nmaxWorkers: 2147483647\n")
    server = serve(store=tmp_path, load_models=None)
    assert_error(server.register("many.mar"), 400, "BadRequestException",
                 "minWorkers is 2147483647: a model may have 4096 workers at most")
    assert server.models() == []
    eventually(lambda: not server.unpacked())
