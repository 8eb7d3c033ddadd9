# SPDX-License-Identifier: Apache-2.0
"""`sconce call`, and the header that says where a request's time went."""

import json
import os
import re
import socket
import subprocess

import pytest

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import BIN, eventually, free_ports
from e2e.terminal import Terminal

FORM = """
def handle(data, context):
    return [{"fields": {k: len(v) for k, v in row.items()}} for row in data or []]
"""


@pytest.fixture(scope="module")
def server(module_serve):
    s = module_serve(load_models=None)
    for name, handler in (("echo", "echo.py"), ("kinds", "kinds.py"), ("stream", "stream.py"),
                          ("talk", "talk.py"), ("gate", "gate.py")):
        s.register(make_mar(s.store, name, handler).name, initial_workers=1)
    second = make_mar(s.store, "echo", FORM, version="2.0", file="echo-2.mar")
    s.register(second.name, initial_workers=1)
    return s


@pytest.fixture
def call(server, tmp_path):
    def run(*arguments, stdin=None, address=f"http://127.0.0.1:{server.inference}", **options):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("SCONCE_", "TS_"))}
        more = ["--address", address] if address else []
        done = subprocess.run([str(BIN / "sconce"), "call", *arguments, *more], cwd=tmp_path,
                              input=stdin, capture_output=True, timeout=60, check=False, env=env,
                              **options)
        return done.returncode, done.stdout, done.stderr.decode()
    return run


def write(folder, name, content):
    (folder / name).write_bytes(content)
    return name


def test_answers_as_they_are(call, tmp_path):
    """What is piped on is what the server sent; the times are told elsewhere."""
    body = bytes(range(256))
    code, output, told = call("echo", write(tmp_path, "x.bin", body))
    assert (code, output) == (0, body)
    assert re.fullmatch(r"x\.bin: 200 in [\d.]+ ms: read [\d.]+ ms, queue [\d.]+ ms, "
                        r"batch [\d.]+ ms \(of 1\), handler [\d.]+ ms, total [\d.]+ ms\n",
                        told), told
    assert call("echo", "-", "--quiet", stdin=b"typed") == (0, b"typed", "")


def test_several_files(call, tmp_path):
    """One call each, in order."""
    names = [write(tmp_path, f"{n}.txt", f"{n};".encode()) for n in range(5)]
    code, output, told = call("echo", *names)
    assert (code, output) == (0, b"0;1;2;3;4;")
    assert [line.partition(":")[0] for line in told.splitlines()] == names


def test_versions_and_media_types(call, tmp_path):
    name = write(tmp_path, "x.json", b'{"data": [1, 2, 3]}')
    assert json.loads(call("echo:2.0", name)[1]) == {"fields": {"body": 1}}
    assert json.loads(call("echo", name, "--version", "2.0")[1]) == {"fields": {"body": 1}}
    assert json.loads(call("echo:2.0", name, "--content-type", "application/octet-stream")[1]) == {
        "fields": {"body": 19}}


def test_on_a_terminal(server, tmp_path):
    """JSON is laid out, bytes that are no text are kept back, streams come as they come."""
    def shown(model, body, ends):
        (tmp_path / "body").write_bytes(body)
        terminal = Terminal()
        with subprocess.Popen([str(BIN / "sconce"), "call", model, "body", "-q", "--address",
                               f"http://127.0.0.1:{server.inference}"], cwd=tmp_path,
                              stdout=terminal.slave, stderr=terminal.slave) as process:
            os.close(terminal.slave)
            eventually(lambda: terminal.plain().endswith(ends), lambda: terminal.text)
            assert process.wait(30) == 0
        text = terminal.plain()
        terminal.close()
        return text

    assert shown("kinds", b"dict", "}\n") == json.dumps(
        {"a": 1, "b": [1, 2.5, None, True], "c": {"d": "\u00e4"}}, indent=2,
        ensure_ascii=False) + "\n"
    assert shown("kinds", b"bytes", "them.\n") == "8 bytes that are no text; `> FILE` keeps them.\n"
    assert shown("stream", b'{"pieces": 2}', "end") == "piece 0;piece 1;the end"


def test_failures(call, server, tmp_path):
    """Who refuses says why; what to do is said, too."""
    name = write(tmp_path, "x.txt", b"raise it")
    code, output, told = call("talk", name)
    assert (code, output) == (1, b"")
    assert told.startswith("sconce call: error: Prediction failed\n")
    assert "\nx.txt: 503 in " in told
    code, output, told = call("nothing", name)
    assert (code, told.splitlines()[:2]) == (1, [
        "sconce call: error: Model not found: nothing",
        "`sconce models list` shows what is there."])
    assert call("echo", "missing") == (
        2, b"", "sconce call: error: missing cannot be read: No such file or directory\n")
    port, = free_ports(1)
    code, _, told = call("echo", name, address=f"http://127.0.0.1:{port}")
    assert code == 3
    assert "Is the server running, and is this its inference_address?" in told


@pytest.mark.parametrize("header,told", [
    (b'read;dur=1\x1b[2J, batch;dur=3;desc="2\x9b"', ": read 1?[2J ms, batch 3 ms (of 2?)"),
    (b'x;desc="', ""),
    (b"x;dur=", ": x  ms"),
], ids=["controls", "no end", "empty"])
def test_a_server_that_says_odd_times(call, tmp_path, header, told):
    """Who answers may be anybody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            with listener.accept()[0] as s:
                s.recv(65536)
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer-Timing: " + header +
                          b"\r\n\r\nok")
        done = background(answer)
        code, output, said = call("echo", write(tmp_path, "x", b"x"),
                                  address=f"http://127.0.0.1:{listener.getsockname()[1]}")
        done.result()
    assert (code, output) == (0, b"ok")
    assert re.sub(r"[\d.]+ ms", "T", said, count=1) == f"x: 200 in T{told}\n"


def test_finds_address_and_key(serve, tmp_path):
    """In the folder where the server was started nothing needs to be said."""
    s = serve(root=tmp_path, wait=False, disable_token_authorization=None, load_models="echo.mar",
              store=make_mar(tmp_path / "store", "echo", "echo.py").parent)
    eventually(lambda: (tmp_path / "key_file.json").exists() and s.answers(), "keys")
    (tmp_path / "config.properties").write_text(f"inference_address=http://127.0.0.1:{s.inference}")
    (tmp_path / "x").write_text("with a key")
    done = subprocess.run([str(BIN / "sconce"), "call", "echo", "x", "-q"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "with a key", "")


# ---- server-timing ----

def timing(response):
    """Milliseconds by name, and how many requests the batch had."""
    header = response.headers["server-timing"]
    times = {name: float(ms) for name, ms in re.findall(r"(\w+);dur=([\d.]+)", header)}
    return times, int(re.search(r';desc="(\d+)"', header).group(1))


def test_times_only_for_who_asks(server):
    assert "server-timing" not in server.predict("echo", b"x").headers
    times, requests = timing(server.predict("echo", b"x", headers={"x-sconce-timing": "1"}))
    assert list(times) == ["read", "queue", "batch", "handler", "total"] and requests == 1
    assert 0 < times["handler"] < times["batch"] < times["total"]
    assert abs(times["read"] + times["queue"] + times["batch"] - times["total"]) < 0.01


def test_times_of_errors_and_streams(server):
    """Those of workers have them; what never was in a queue has none."""
    ask = {"x-sconce-timing": "1"}
    assert "handler" in timing(server.predict("talk", b"raise", headers=ask))[0]
    assert "batch" in timing(server.predict("stream", b'{"pieces": 1}', headers=ask))[0]
    assert "server-timing" not in server.predict("nothing", b"", headers=ask).headers
