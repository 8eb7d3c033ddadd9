# SPDX-License-Identifier: Apache-2.0
"""Models that an engine runs in the native worker: engines that behave, and some that do not."""

import io
import json
import os
import re
import signal
import struct
import subprocess

import pytest

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import BIN, eventually

ENGINES = BIN.parent / "tests" / "engines"
HOSTILE = {"SCONCE_ENGINE_PATH": str(ENGINES)}
JSON = {"Content-Type": "application/json"}
RAW = {"Content-Type": "application/octet-stream"}
# A crash that is meant: sanitizers would take it for a finding.
MEANT = {name: f"{os.environ.get(name, '')}:handle_sigfpe=0"
         for name in ("ASAN_OPTIONS", "TSAN_OPTIONS")}


def make_model(store, name, engine="echo", content="good", config=None):
    """A folder that an engine serves."""
    folder = store / name
    (folder / "MAR-INF").mkdir(parents=True)
    (folder / f"m.{engine}").write_text(content)
    model = {"modelName": name, "serializedFile": f"m.{engine}"}
    if config is not None:
        model["configFile"] = "c.yaml"
        (folder / "c.yaml").write_text(config)
    (folder / "MAR-INF/MANIFEST.json").write_text(json.dumps({"runtime": "native", "model": model}))


def ask(server, model, body, headers=JSON, **more):
    return server.predict(model, body, headers={**headers, **more})


def word(text):
    return text.ljust(8).encode()


def test_what_the_archiver_packs(serve, tmp_path):
    """Once as it is, and once with the package that scripts import."""
    (tmp_path / "m.echo").write_text("good")
    for name, command in (("one", [BIN / "sconce", "archive"]),
                          ("two", [BIN / "torch-model-archiver"])):
        subprocess.run([*command, "--model-name", name, "--version", "1.0", "--runtime", "native",
                        "--serialized-file", tmp_path / "m.echo", "--export-path", tmp_path],
                       check=True)
    server = serve(store=tmp_path, load_models="one.mar,two.mar", environment=HOSTILE)
    for name in ("one", "two"):
        assert describe(server, name)["workers"][0]["status"] == "READY"
        assert ask(server, name, "[1, 2]").json() == [1, 2]


def describe(server, model):
    return server.describe(model)[0]


def pid(server, model):
    return describe(server, model)["workers"][0]["pid"]


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    make_model(module_tmp, "echo")
    make_model(module_tmp, "hostile", "hostile")
    return module_serve(store=module_tmp, environment=HOSTILE)


def test_description(server):
    described = describe(server, "echo")
    assert described["runtime"] == "native"
    assert described["inputs"] == [{"name": "input", "datatype": "ANY"}]
    worker, = described["workers"]
    assert worker["engine"] == "echo" and worker["device"] == "cpu"
    assert worker["instance"] == 0 and worker["threads"] >= 1 and worker["status"] == "READY"
    assert describe(server, "hostile")["inputs"] == [
        {"name": "word", "datatype": "UINT8", "shape": [-1, 8]}]


def test_description_on_a_terminal(server):
    done = subprocess.run([BIN / "sconce", "models", "describe", "echo", "--address",
                           f"http://127.0.0.1:{server.management}"],
                          check=True, capture_output=True, text=True, timeout=60)
    head, line = done.stdout.splitlines()[-2:]
    assert head.split()[-4:] == ["INSTANCE", "ENGINE", "DEVICE", "THREADS"]
    assert re.search(r" 0 +echo, echo 1 +cpu +[1-9]\d*$", line), line


@pytest.mark.parametrize("body, answer", [
    ("[[1, 2.5]]", [[1.0, 2.5]]),
    ('{"input": [true]}', [True]),
    ('{"instances": ["a"]}', {"predictions": ["a"]}),
    ('{"inputs": {"input": [7]}}', {"outputs": [7]}),
    ('{"inputs": [{"name": "input", "shape": [1, 2], "datatype": "INT32", "data": [1, 2]}]}',
     {"model_name": "echo", "outputs": [{"name": "output", "datatype": "INT32", "shape": [1, 2],
                                         "data": [1, 2]}]}),
])
def test_json(server, body, answer):
    reply = ask(server, "echo", body)
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "application/json"
    assert reply.json() == answer


@pytest.mark.parametrize("size", [0, 1, 8192, 8193, 600_000, 5_000_000])
def test_raw_bytes(server, size):
    data = os.urandom(size)
    reply = ask(server, "echo", data, RAW, Accept="application/octet-stream")
    if not size:
        assert reply.status_code == 200 and not reply.content
        return
    assert reply.content == data
    assert reply.headers["x-tensor-shape"] == str(size)
    assert reply.headers["x-tensor-dtype"] == "UINT8"


def test_large_json(server):
    values = list(range(100_000))
    assert ask(server, "echo", json.dumps(values)).json() == values


def test_numpy_files(server):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }".ljust(117) + b"\n"
    data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + struct.pack("<2f", 1, -2)
    assert ask(server, "echo", data, RAW, Accept="application/json").json() == [1.0, -2.0]
    reply = ask(server, "echo", io.BytesIO(data), RAW)
    assert reply.headers["Content-Type"] == "application/x-npy"
    assert reply.content.endswith(struct.pack("<2f", 1, -2))


@pytest.mark.parametrize("body, words", [
    ("[[1, 2], [3]]", "lists of different length"),
    ('{"imput": 1}', 'there is no input "imput"'),
    ("{", "broken at byte"),
    ("[" * 50_000 + "]" * 50_000, "more than 16 dimensions"),
])
def test_bad_requests(server, body, words):
    reply = ask(server, "echo", body)
    assert reply.status_code == 400 and words in reply.json()["message"]


@pytest.mark.parametrize("command, status, words", [
    ("error", 500, "The model failed: it was told to fail"),
    ("shape", 500, 'output "rows" has another size than its shape says'),
    ("dtype", 500, 'output "rows" has another size than its shape says'),
])
def test_an_engine_that_fails(server, command, status, words):
    before = pid(server, "hostile")
    reply = ask(server, "hostile", word(command), RAW)
    assert reply.status_code == status and words in reply.json()["message"]
    assert ask(server, "hostile", word("good"), RAW).json() == [[1]]
    assert pid(server, "hostile") == before


def test_a_client_that_leaves(server):
    """Its run ends, and the one instance is free."""
    with server.raw() as client:
        client.send(b"POST /predictions/hostile HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n"
                    b"Content-Type: application/octet-stream\r\n\r\n" + word("wait"))
    assert ask(server, "hostile", word("good"), RAW).json() == [[1]]


def test_an_engine_that_prints(server):
    ask(server, "hostile", word("print"), RAW)
    eventually(lambda: "a word from the engine" in server.log("model_log.log"), "it is logged")


def test_an_engine_that_crashes(serve, tmp_path):
    make_model(tmp_path, "hostile", "hostile", config="minWorkers: 2\nmaxWorkers: 2\n")
    server = serve(store=tmp_path, environment=HOSTILE)
    before = pid(server, "hostile")
    reply = ask(server, "hostile", word("crash"), RAW)
    assert reply.status_code == 500 and "Worker died" in reply.json()["message"]
    eventually(lambda: pid(server, "hostile") not in (before, -1), "another process")
    eventually(lambda: ask(server, "hostile", word("good"), RAW).status_code == 200, "it answers")


def test_an_engine_that_hangs(serve, tmp_path):
    make_model(tmp_path, "hostile", "hostile", config="responseTimeout: 1\n")
    server = serve(store=tmp_path, environment=HOSTILE)
    reply = ask(server, "hostile", word("hang"), RAW)
    assert reply.status_code == 500 and "responseTimeout" in reply.json()["message"]
    eventually(lambda: ask(server, "hostile", word("good"), RAW).status_code == 200, "it answers")


def test_batches_are_stacked(serve, tmp_path):
    make_model(tmp_path, "hostile", "hostile", config="batchSize: 4\nmaxBatchDelay: 60000\n"
                                                      "batchMode: fixed\n")
    server = serve(store=tmp_path, environment=HOSTILE)
    futures = [background(ask, server, "hostile", word("good"), RAW) for _ in range(4)]
    assert [f.result().json() for f in futures] == [[[4]]] * 4
    # What fails as a whole is run one by one.
    futures = [background(ask, server, "hostile", word(w), RAW)
               for w in ("error", "good", "good", "good")]
    assert [f.result().status_code for f in futures] == [500, 200, 200, 200]


def test_each_shape_of_a_batch_is_stacked(serve, tmp_path):
    make_model(tmp_path, "hostile", "hostile", "good, with words of any length",
               config="batchSize: 5\nmaxBatchDelay: 60000\nbatchMode: fixed\n")
    server = serve(store=tmp_path, environment=HOSTILE)
    futures = [background(ask, server, "hostile", json.dumps([[1] * length]))
               for length in (8, 16, 8, 16, 24)]
    assert [f.result().json() for f in futures] == [[[2]]] * 4 + [[[1]]]


def test_instances_are_scaled(serve, tmp_path):
    make_model(tmp_path, "hostile", "hostile")
    server = serve(store=tmp_path, environment=HOSTILE)
    before = pid(server, "hostile")

    def scale(n):
        reply = server.manage("PUT", f"/models/hostile?min_worker={n}&max_worker={n}"
                                     "&synchronous=true")
        assert reply.status_code == 200
        eventually(lambda: len(describe(server, "hostile")["workers"]) == n, f"{n} instances")
        assert ask(server, "hostile", word("good"), RAW).status_code == 200

    for n in (4, 1, 3, 2):
        scale(n)
        assert {w["pid"] for w in describe(server, "hostile")["workers"]} == {before}


@pytest.mark.parametrize("engine, n, status, left", [
    ("echo", 100, 200, 64),      # as on a machine with so many CPUs
    ("hostile", 9, 500, 6),      # this one makes no more than six
])
def test_nobody_waits_for_instances_that_there_cannot_be(serve, tmp_path, engine, n, status, left):
    make_model(tmp_path, engine, engine)
    server = serve(store=tmp_path, environment=HOSTILE)
    reply = server.manage("PUT", f"/models/{engine}?min_worker={n}&synchronous=true")
    assert reply.status_code == status
    assert len(describe(server, engine)["workers"]) == left
    if status == 500:
        assert "Its engine has 6 instances and makes no more" in reply.json()["message"]
    reply = server.manage("PUT", f"/models/{engine}?min_worker={left}&synchronous=true")
    assert reply.status_code == 200


def test_one_that_could_not_have_more_instances_comes_back_from_a_crash(serve, tmp_path):
    make_model(tmp_path, "hostile", "hostile")
    server = serve(store=tmp_path, environment=HOSTILE)
    reply = server.manage("PUT", "/models/hostile?min_worker=9&synchronous=true")
    assert reply.status_code == 500
    assert ask(server, "hostile", word("good"), RAW).status_code == 200
    before = pid(server, "hostile")
    assert ask(server, "hostile", word("crash"), RAW).status_code == 500
    eventually(lambda: pid(server, "hostile") not in (0, before))
    assert ask(server, "hostile", word("good"), RAW).status_code == 200
    assert len(describe(server, "hostile")["workers"]) == 6


def test_one_that_had_fewer_instances_is_there_with_those(serve, tmp_path):
    make_model(tmp_path, "hostile", "hostile")
    server = serve(store=tmp_path, environment=HOSTILE)
    for n, status in ((5, 200), (0, 200), (9, 500)):
        reply = server.manage("PUT", f"/models/hostile?min_worker={n}&max_worker={n}"
                                     "&synchronous=true")
        assert reply.status_code == status
    assert "six instances are enough" in reply.json()["message"]
    eventually(lambda: ask(server, "hostile", word("good"), RAW).status_code == 200)
    assert len(describe(server, "hostile")["workers"]) == 5


def test_nothing_is_lost_when_it_is_killed(serve, tmp_path):
    make_model(tmp_path, "echo", config="minWorkers: 2\nmaxWorkers: 2\n")
    server = serve(store=tmp_path)
    seen = {pid(server, "echo")}
    futures = [background(ask, server, "echo", f"[{i}]") for i in range(40)]
    os.kill(seen.copy().pop(), signal.SIGKILL)
    futures += [background(ask, server, "echo", f"[{i}]") for i in range(40, 80)]
    assert [f.result().json() for f in futures] == [[i] for i in range(80)]


@pytest.mark.parametrize("engine, content, words", [
    ("hostile", "bad", "the file says: bad"),
    ("hostile", "crash", "the engine hostile crashed while it loaded the model (signal 8, "),
    ("tomorrow", "good", "built for interface 2, and this is 1: build it again"),
    ("short", "good", "its table lacks functions"),
    ("nothing", "good", "no engine takes"),
])
def test_what_does_not_load_says_why(serve, tmp_path, engine, content, words):
    server = serve(store=tmp_path, load_models=None, environment={**HOSTILE, **MEANT})
    make_model(tmp_path, "m", engine, content)
    reply = server.manage("POST", "/models?url=m&initial_workers=1&synchronous=true")
    assert reply.status_code == 500 and words in reply.json()["message"]


@pytest.mark.parametrize("content, words", [
    ("crash", "the engine hostile crashed while it loaded the model (signal 8, "),
    ("hang", "it was not ready in 5 s (startupTimeout)"),
])
def test_an_optimized_model_that_ends_the_worker(serve, tmp_path, content, words):
    """The original is loaded by the second one, and nobody is told of a failure."""
    make_model(tmp_path, "m", config="startupTimeout: 5\n")
    folder = tmp_path / "m" / "optimized"
    folder.mkdir()
    (folder / "m.hostile").write_text(content)
    (folder / "optimized.json").write_text(json.dumps({
        "format": 1, "model": "m.echo", "engine": "hostile", "artifact": "m.hostile",
        "precision": "fp32", "device": "cpu", "input_names": [], "output_names": []}))
    server = serve(store=tmp_path, load_models=None, environment={**HOSTILE, **MEANT})
    reply = server.manage("POST", "/models?url=m&initial_workers=1&synchronous=true")
    assert reply.status_code == 200, reply.text
    assert ask(server, "m", "[1]").json() == [1]
    told = server.logged("model_log.log", words)
    assert told.count("The optimized model is not used, the original is: " + words) == 1
    assert "failed to start" not in server.log("ts_log.log")


ABORTS = """
import os
from sconce import trial
class Handler:
    def initialize(self, context):
        trial.lost or trial.attempt(os.abort)
    def handle(self, data, context):
        return [trial.lost]
"""


def test_an_optimized_model_that_ends_a_worker_with_a_handler(serve, tmp_path):
    make_mar(tmp_path, "m", ABORTS)
    server = serve(store=tmp_path, load_models=None)
    reply = server.manage("POST", "/models?url=m.mar&initial_workers=2&synchronous=true")
    assert reply.status_code == 200, reply.text
    assert server.predict("m", "x").text == \
        "the worker process was killed by signal 6 (Aborted) while loading"


def test_a_list_of_engines(tmp_path):
    """One that crashes costs a line."""
    env = {**os.environ, **HOSTILE}
    out = subprocess.run([BIN / "sconce-worker", "--engines"], env=env, capture_output=True,
                         text=True, timeout=60, check=True).stdout
    engines = {os.path.basename(e["file"]): e for e in map(json.loads, out.splitlines())}
    assert engines["echo.so"]["devices"] == "cpu" and engines["echo.so"]["suffixes"] == ".echo"
    assert "signal 6" in engines["crashing.so"]["error"]
    assert "interface 2" in engines["tomorrow.so"]["error"]
    assert engines["hostile.so"]["name"] == "hostile"
    assert engines["absent.so"]["error"] == "its runtime is missing: install it"
    assert engines["leaving.so"]["error"] == "it ended its process, with 3, while it was opened"


def test_an_engine_that_does_not_open(tmp_path):
    """One that hangs costs its time and a line."""
    (tmp_path / "hanging.so").symlink_to(ENGINES / "hanging.module")
    env = {**os.environ, "SCONCE_ENGINE_PATH": str(tmp_path)}
    out = subprocess.run([BIN / "sconce-worker", "--engines", "--within", "1"], env=env,
                         capture_output=True, text=True, timeout=60, check=True).stdout
    hanging = json.loads(out.splitlines()[0])
    assert hanging["file"] == str(tmp_path / "hanging.so")
    assert hanging["error"] == "it did not open within 1 s"


def test_a_check_of_a_model(tmp_path):
    (tmp_path / "m.hostile").write_text("good")
    (tmp_path / "n.hostile").write_text("it is broken")
    env = {**os.environ, **HOSTILE}

    def check(file, *more):
        return subprocess.run([BIN / "sconce-worker", "--check", tmp_path / file, *more], env=env,
                              capture_output=True, text=True, timeout=60, check=False)

    good = check("m.hostile")
    said = json.loads(good.stdout)
    # The runtime of the first engine that takes such files is missing: the next one is taken.
    assert good.returncode == 0 and said["instances"][0]["engine"] == "hostile"
    assert said["inputs"][0]["shape"] == [-1, 8]
    # It has none but processors, and is not said to use what it does not.
    assert json.loads(check("m.hostile", "--device", "cuda:0").stdout)["instances"][0]["device"] \
        == "cpu"
    for device in ("", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0x", "cuda:99999"):
        done = check("m.hostile", "--device", device)
        assert f'there is no device "{device}", but cpu, and cuda:0' in done.stderr, done
    for done, words in [(check("n.hostile"), "the file says: it is broken"),
                        (check("nowhere.hostile"), "No such file"),
                        (check("m.hostile", "--engine", "absent"), "its runtime is missing"),
                        (check("m.hostile", "--engine", "echoo"), 'no engine "echoo"')]:
        assert done.returncode == 1 and words in done.stderr and not done.stdout, done
