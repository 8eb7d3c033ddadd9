# SPDX-License-Identifier: Apache-2.0
"""ts.launcher and ts.llm_launcher, with a script in the place of `torchserve`."""

import http.server
import json
import sys
import threading
import types
from email.message import Message

import pytest
import requests

from ts import launcher, llm_launcher

SERVER = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
case "$1" in
--start) echo loading; [ -z "$BROKEN" ] || exit 3; echo "Model server started."; echo serving;;
esac
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A function that reads how `torchserve` was called."""
    (tmp_path / "torchserve").write_text(SERVER)
    (tmp_path / "torchserve").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return lambda: (tmp_path / "calls").read_text().splitlines()


def settle():
    """Waits for the threads of launcher.start(): what they print belongs to this test."""
    for thread in threading.enumerate():
        if isinstance(thread, (launcher.Tee, launcher.PrintTillTheEnd)):
            thread.join(60)


def test_start(calls, capfd):
    lines = launcher.start("store", "c.properties", True, "plugins", True, "a=a.mar", True)
    settle()
    assert lines.get(timeout=60) == "serving\n" and lines.get(timeout=60) is None
    assert calls() == ["--stop --foreground",
                       "--start --model-store store --plugins-path plugins --ts-config c.properties"
                       " --no-config-snapshots --disable-token-auth --enable-model-api --models"
                       " a=a.mar"]
    assert "loading\nModel server started.\nserving\n" in capfd.readouterr().out


def test_start_with_few_arguments(calls):
    launcher.start(models=["a.mar", "b.mar"])
    settle()
    launcher.stop(wait=False)
    assert calls()[1:] == ["--start --models a.mar b.mar", "--stop"]


def test_server_that_does_not_start(calls, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(RuntimeError, match=r"did not start \(exit code 3\): torchserve --start"):
        launcher.start()


def test_lines_that_nobody_reads_are_dropped_and_their_end_is_seen():
    tee = launcher.Tee(str(i) for i in range(5000))
    tee.run()
    for lines in (tee.queue1, tee.queue2):
        kept = [lines.get_nowait() for _ in range(lines.qsize())]
        assert len(kept) <= 1000 and kept[0] in ("0", "1") and kept[-1] is None


class Management(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.dumps({"path": self.path}).encode()
        self.send_response(409 if "name=old" in self.path else 200)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("set-cookie", "a=1; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def management(monkeypatch):
    server = http.server.HTTPServer(("127.0.0.1", 0), Management)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(launcher, "_MANAGEMENT", "http://127.0.0.1:%d" % server.server_port)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["requests", "without"])
def package(request, monkeypatch):
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "requests", None)
    return request.param


def test_register(management, package):
    answer = launcher.register_model("new", "a b.mar")
    assert answer.status_code == 200 and answer.ok
    assert answer.json()["path"] == ("/models?model_name=new&url=a+b.mar&initial_workers=1"
                                     "&synchronous=true")
    refused = launcher.register_model_with_params({"name": "old"})
    assert (refused.status_code, refused.ok, refused.text) == (
        409, False, '{"path": "/models?name=old"}')
    assert refused.headers["content-length"] == str(len(refused.content))
    if package == "requests":
        assert type(answer) is requests.Response
    with refused:
        assert (refused.headers["Content-Length"], dict(refused.cookies)) == ("28", {"a": "1"})
    assert (bool(answer), bool(refused), repr(refused)) == (True, False, "<Response [409]>")
    assert (refused.reason, refused.encoding, refused.history) == ("Conflict", "utf-8", [])
    assert refused.url.endswith("/models?name=old") and refused.request.method == "POST"
    assert b"".join(refused) == b"".join(refused.iter_content(7)) == refused.content
    assert list(refused.iter_lines()) == [refused.content]
    assert refused.elapsed.total_seconds() > 0 and not refused.is_redirect
    assert answer.raise_for_status() is None
    with pytest.raises(OSError, match="409 Client Error: Conflict for url: http") as e:
        refused.raise_for_status()
    assert e.value.response is refused


def test_the_face_of_a_response():
    """What stands in for the package has every public name of it."""
    from ts.utils.http_response import Response

    with_members = set(vars(requests.Response())) | set(dir(requests.Response))
    made = Response(None, types.SimpleNamespace(url="u", status=200, reason="OK",
                                                headers=Message()), b"x", None)
    assert {name for name in with_members if not name.startswith("_")} <= set(dir(made))
    assert (made.text, made.encoding, bool(made)) == ("x", None, True)


# ---- language models ----

@pytest.fixture
def gpus(monkeypatch):
    """gpus(n): so many are there."""
    def there_are(n):
        torch = types.SimpleNamespace(cuda=types.SimpleNamespace(device_count=lambda: n))
        monkeypatch.setitem(sys.modules, "torch", torch)

    there_are(2)
    return there_are


def arguments(*flags):
    return llm_launcher.parser().parse_args(flags)


def test_flags():
    assert vars(arguments()) == {
        "model_name": "model", "model_store": "model_store",
        "model_id": "meta-llama/Meta-Llama-3.1-8B-Instruct", "disable_token_auth": False,
        "startup_timeout": 1200, "engine": "vllm", "dtype": "bfloat16",
        "vllm_engine.max_num_seqs": 256, "vllm_engine.max_model_len": None,
        "vllm_engine.download_dir": None, "trt_llm_engine.max_batch_size": 4,
        "trt_llm_engine.kv_cache_free_gpu_memory_fraction": 0.1}


def test_config_for_vllm(gpus):
    config = llm_launcher.get_model_config(arguments(
        "--model_id", "llama", "--vllm_engine.max_model_len", "4096", "--startup_timeout", "9",
        "--vllm_engine.download_dir", "/weights"))
    assert config == {
        "minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100,
        "responseTimeout": 1200, "startupTimeout": 9, "deviceType": "gpu",
        "asyncCommunication": True, "parallelType": "custom", "parallelLevel": 2,
        "handler": {"model_path": "llama", "vllm_engine_config": {
            "max_num_seqs": 256, "max_model_len": 4096, "download_dir": "/weights",
            "tensor_parallel_size": 2}}}


def test_config_without_a_gpu(gpus):
    gpus(0)
    config = llm_launcher.get_model_config(arguments())
    assert config["deviceType"] == "cpu" and "parallelLevel" not in config
    assert config["handler"]["vllm_engine_config"] == {"max_num_seqs": 256,
                                                       "tensor_parallel_size": 1}


def test_config_for_tensorrt(gpus):
    config = llm_launcher.get_model_config(arguments("--engine", "trt_llm"), "/snapshot")
    assert config["handler"] == {"tokenizer_dir": "/snapshot", "engine_dir": "model-engine",
                                 "kv_cache_config": {"free_gpu_memory_fraction": 0.1}}


@pytest.mark.parametrize("engine,stays", [("vllm", False), ("trt_llm", True)])
def test_model_without_an_archive(gpus, tmp_path, engine, stays):
    flags = arguments("--engine", engine, "--model_store", str(tmp_path), "--model_name", "llm")
    with llm_launcher.create_mar_file(flags, "/snapshot") as path:
        assert path == str(tmp_path / "llm")
        manifest = json.loads((tmp_path / "llm/MAR-INF/MANIFEST.json").read_text())
        assert manifest["model"]["handler"] == engine + "_handler"
        config = json.loads((tmp_path / "llm" / manifest["model"]["configFile"]).read_text())
        assert config["asyncCommunication"] is True
    assert (tmp_path / "llm").exists() == stays


def test_serving_until_it_is_stopped(gpus, calls, tmp_path, monkeypatch):
    monkeypatch.setattr(llm_launcher.importlib.util, "find_spec", lambda name: name)

    def interrupted():
        assert (tmp_path / "store/model/MAR-INF/MANIFEST.json").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(llm_launcher.signal, "pause", interrupted)
    monkeypatch.setattr(llm_launcher.signal, "signal", lambda *_: None)
    llm_launcher.main(arguments("--model_store", str(tmp_path / "store"), "--disable_token_auth"))
    settle()
    assert calls() == ["--stop --foreground", f"--start --model-store {tmp_path}/store "
                       "--no-config-snapshots --disable-token-auth --models model", "--stop"]
    assert not (tmp_path / "store/model").exists()


@pytest.mark.parametrize("flags,text", [
    ((), "ts.llm_launcher: --engine vllm needs the package vllm, which is not installed in"),
    (("--engine", "magic"), "ts.llm_launcher: --engine is one of vllm, trt_llm, not 'magic'"),
])
def test_what_it_cannot_serve(flags, text, capsys):
    with pytest.raises(SystemExit) as ended:
        llm_launcher.main(arguments(*flags))
    assert str(ended.value).startswith(text)


def test_engine_that_was_not_built(monkeypatch, tmp_path):
    monkeypatch.setattr(llm_launcher.importlib.util, "find_spec", lambda name: name)
    with pytest.raises(SystemExit, match="trtllm-build --output_dir"):
        llm_launcher.main(arguments("--engine", "trt_llm", "--model_store", str(tmp_path)))
