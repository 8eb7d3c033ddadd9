# SPDX-License-Identifier: Apache-2.0
"""`sconce models`: a client of the management API."""

import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from e2e.archives import make_mar
from e2e.server import BIN, eventually, free_ports
from e2e.terminal import Terminal


class Client:
    """Runs commands in a folder, by default against one server."""

    def __init__(self, root, address=None):
        self.root, self.address = root, address

    def command(self, *arguments):
        more = ["--address", self.address] if self.address else []
        return [str(BIN / "sconce"), "models", *arguments, *more]

    def run(self, *arguments, **environment):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("SCONCE_", "TS_"))}
        done = subprocess.run(self.command(*arguments), cwd=self.root, env={**env, **environment},
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def do(self, *arguments, **environment):
        code, output, complaints = self.run(*arguments, **environment)
        assert (code, complaints) == (0, ""), complaints
        return output


@pytest.fixture(scope="module")
def server(module_serve):
    s = module_serve(load_models=None)
    make_mar(s.store, "echo", "echo.py")
    make_mar(s.store, "echo", "echo.py", version="2.0", file="echo-2.mar")
    make_mar(s.store, "broken", "bad_init.py")
    make_mar(s.store, "other", "echo.py")
    return s


@pytest.fixture
def client(server, tmp_path):
    yield Client(tmp_path, f"http://127.0.0.1:{server.management}")
    while server.models():
        for name in server.models():
            for version in reversed(server.describe(name, "all")):
                server.manage("DELETE", f"/models/{name}/{version['modelVersion']}")


# ---- what they do ----

def test_life_of_a_model(client, server):
    assert client.do("list") == "There are no models.\n"
    assert client.do("register", "echo.mar", "--workers", "2", "--batch-size", "4") == (
        'Model "echo" Version: 1.0 registered with 2 initial workers\n')
    assert server.predict("echo", b"x").text == "x"
    assert server.describe("echo")[0]["batchSize"] == 4
    assert client.do("list") == ("MODEL  VERSION  WORKERS  ARCHIVE\n"
                                 "echo   1.0      2/2      echo.mar\n")
    assert client.do("scale", "echo", "1") == "Workers scaled to 1 for model: echo\n"
    assert len(server.worker_pids("echo")) == 1
    client.do("register", "echo-2.mar")
    assert client.do("set-default", "echo:2.0") == (
        'Default version successfully updated for model "echo" to "2.0"\n')
    assert client.do("list") == ("MODEL  VERSION        WORKERS  ARCHIVE\n"
                                 "echo   1.0            1/1      echo.mar\n"
                                 "echo   2.0 (default)  1/1      echo-2.mar\n")
    assert client.do("unregister", "echo", "--version", "1.0") == 'Model "echo" unregistered\n'
    assert client.do("unregister", "echo") == 'Model "echo" unregistered\n'
    assert client.do("list", "--quiet") == ""


def test_describe(client, server):
    client.do("register", "echo.mar", "--workers", "2")
    client.do("register", "echo-2.mar", "--workers", "0")
    text = client.do("describe", "echo:all")
    pids = server.worker_pids("echo")
    assert text.startswith("echo 1.0\n  archive   echo.mar\n"
                           "  workers   2 ready, 2 wanted, at most 2\n")
    lines = text.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("  WORKER"))
    assert lines[head].split() == ["WORKER", "PID", "STATUS", "MEMORY", "GPU", "STARTED"]
    assert [int(line.split()[1]) for line in lines[head + 1:head + 3]] == pids
    column = lines[head].index("STATUS")
    assert {line[column:column + 5] for line in lines[head + 1:head + 3]} == {"READY"}
    assert "\n\necho 2.0\n" in text
    assert "WORKER" not in text.partition("echo 2.0")[2]
    for named in (["echo:2.0"], ["echo", "--version", "2.0"], ["--version=2.0", "echo"]):
        assert client.do("describe", *named).startswith("echo 2.0\n")
    assert client.do("scale", "echo:2.0", "1") == (
        "Workers scaled to 1 for model: echo, version: 2.0\n")


def test_json(client, server):
    client.do("register", "echo.mar", "--name", "one")
    client.do("register", "other.mar", "--name", "two")
    assert json.loads(client.do("list", "--json")) == {"models": [
        {"modelName": "one", "modelUrl": "echo.mar"},
        {"modelName": "two", "modelUrl": "other.mar"}]}
    assert json.loads(client.do("describe", "one", "--json"))[0]["modelName"] == "one"
    assert json.loads(client.do("unregister", "one", "--json")) == {
        "status": 'Model "one" unregistered'}
    assert client.do("list", "--quiet") == "two\n"


SLOW = """
class Slow:
    def initialize(self, context):
        with open({fifo!r}, "rb") as fifo:
            fifo.read()

    def handle(self, data, context):
        return ["x"] * len(data)
"""


def test_progress_on_a_terminal(client, server, gate):
    """While workers start it says how many are ready; the line is removed at the end."""
    make_mar(server.store, "slow", SLOW.format(fifo=gate.fifo))
    terminal = Terminal()
    process = subprocess.Popen(client.command("register", "slow.mar"), cwd=client.root,
                               stdout=subprocess.PIPE, stderr=terminal.slave)
    os.close(terminal.slave)
    eventually(lambda: "\r\x1b[Kslow: 0 of 1 workers ready, " in terminal.read(),
               lambda: terminal.text)
    gate.open()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output == b'Model "slow" Version: 1.0 registered with 1 initial workers\n'
    assert terminal.read().endswith("\r\x1b[K")
    terminal.close()


def test_without_a_terminal_there_is_no_progress(client, server, gate):
    make_mar(server.store, "slow", SLOW.format(fifo=gate.fifo))
    process = subprocess.Popen(client.command("register", "slow.mar", "--async"), cwd=client.root,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.communicate(timeout=60) == (b"Processing worker updates...\n", b"")
    gate.open()


# ---- what goes wrong ----

NO_MODELS = "There are no models; `sconce models register ARCHIVE` loads one.\n"


@pytest.mark.parametrize("arguments,code,complaints", [
    (["describe", "none"], 1, "Model not found: none\n" + NO_MODELS),
    (["scale", "none", "1"], 1, "Model not found: none\n" + NO_MODELS),
    (["unregister", "none:1.0"], 1, "Model not found: none\n" + NO_MODELS),
    (["register", "none.mar"], 1, "Model not found at: none.mar\nArchives are looked for in the "
     "server's model_store; from elsewhere they need a URL (http://, file:///).\n"),
    (["register", "broken.mar"], 1, "Failed to start workers for model broken version: 1.0. "
     "RuntimeError: the weights are not where they should be (bad_init.py, line 7)\n")])
def test_refused(client, arguments, code, complaints):
    result = client.run(*arguments)
    assert result[:2] == (code, "")
    assert result[2].startswith("sconce models: error: " + complaints.partition("\n")[0])
    assert result[2].endswith(complaints.partition("\n")[2])


def test_names_that_are_like_others(client):
    client.do("register", "echo.mar", "--workers", "0")
    client.do("register", "echo-2.mar", "--workers", "0")
    assert client.run("describe", "ecko")[2].endswith(
        "error: Model not found: ecko. Did you mean 'echo'?\n")
    assert client.run("register", "othr.mar")[2].endswith(
        "error: Model not found at: othr.mar. Did you mean 'other.mar'?\n")
    assert client.run("scale", "nothing", "1")[2].endswith(
        "error: Model not found: nothing\n`sconce models list` shows what is there.\n")
    assert client.run("describe", "echo:3.0")[2].endswith(
        "error: Model version: 3.0 does not exist for model: echo\nThere are: 1.0, 2.0.\n")


def test_models_with_colons(client):
    client.do("register", "echo.mar", "--workers", "0", "--name", "a:b")
    assert client.do("describe", "a:b:").startswith("a:b 1.0\n")
    assert client.do("describe", "a:b:1.0").startswith("a:b 1.0\n")
    assert client.do("describe", "a:b", "--version", "1.0").startswith("a:b 1.0\n")


def test_list_does_not_recommend_itself(client, server):
    code, _, complaints = Client(client.root, f"http://127.0.0.1:{server.metrics_port}").run("list")
    assert code == 1
    assert complaints.endswith("\nIs this the server's management_address? --address names "
                               "another.\n")


@pytest.mark.parametrize("arguments,message", [
    (["describe", "echo", "2.0"], "unrecognized arguments: 2.0\n"
     "A version is named MODEL:VERSION, or with --version."),
    (["set-default", "echo"],
     "the version is missing: MODEL:VERSION, or --version VERSION"),
    (["scale", "echo", "many"], "argument WORKERS: invalid int value: 'many'"),
    (["scale", "echo"], "the following arguments are required: WORKERS"),
    (["register", "a.mar", "--batchsize", "3"], "unrecognized arguments: --batchsize 3\n"
     "Did you mean --batch-size?"),
    (["register", "a.mar", "--runtime", "java"], "argument --runtime: invalid choice: 'java' "
     "(choose from 'python', 'python3', 'LSP')")])
def test_wrong_usage(client, arguments, message):
    code, output, complaints = client.run(*arguments)
    assert (code, output) == (2, "")
    assert complaints.startswith(f"usage: sconce models {arguments[0]} [-h] ")
    assert complaints.endswith(f"\nsconce models {arguments[0]}: error: {message}\n")


def test_mistyped_commands(client):
    code, _, complaints = Client(client.root).run("regsiter")
    assert code == 2
    assert "there is no command 'regsiter'; did you mean 'register'?\n" in complaints


def test_server_down(tmp_path):
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    code, output, complaints = Client(tmp_path, address).run("list")
    assert (code, output) == (3, "")
    assert complaints.startswith(f"sconce models: error: no answer from {address}: ")
    assert complaints.endswith("\nIs the server running, and is this its management_address? "
                               "--address names another.\n")
    code, _, complaints = Client(tmp_path, "ftp://x").run("list")
    assert (code, complaints) == (2, "sconce models: error: the address is http://HOST:PORT or "
                                  "unix:PATH, not ftp://x\n")


def test_changes_are_not_allowed(serve, tmp_path):
    server = serve(enable_model_api=False, load_models=None)
    client = Client(tmp_path, f"http://127.0.0.1:{server.management}")
    code, _, complaints = client.run("unregister", "m")
    assert code == 1
    assert complaints.endswith("only where the server was started with enable_model_api=true "
                               "(--enable-model-api)\n")


def test_tokens(serve, tmp_path):
    """A client on the server's machine finds the keys wherever it runs; another is told."""
    keys_file = tmp_path / "keys.json"
    server = serve(disable_token_authorization=False, wait=False, load_models=None,
                   key_file=keys_file)
    address = f"http://127.0.0.1:{server.management}"
    (tmp_path / "else").mkdir()
    neighbour = Client(tmp_path / "else", address)
    eventually(lambda: neighbour.run("list")[0] == 0)
    key = json.loads(keys_file.read_text())["management"]["key"]
    assert neighbour.do("list", "--token", key) == "There are no models.\n"
    assert neighbour.do("list", SCONCE_TOKEN=key) == "There are no models.\n"
    assert neighbour.do("token") == "The server's key file has a new management key.\n"
    assert json.loads(keys_file.read_text())["management"]["key"] != key
    code, _, complaints = neighbour.run("list", "--token", key)
    assert code == 1
    assert complaints == (
        "sconce models: error: Token Authorization failed. Token either incorrect, expired, or not "
        "provided correctly. That is no key of this server: send 'Authorization: Bearer KEY' with "
        "the management key of the server's keys.json\n"
        "The token is not valid here, or has expired: `sconce models token` renews it where the "
        "server's key file is.\n")
    assert neighbour.do("list") == "There are no models.\n"


def test_keys_where_the_settings_of_the_server_say(serve, tmp_path):
    """Nothing of that is in its command line or environment, nor in the folder of the client."""
    root = tmp_path / "server"
    (root / "keys").mkdir(parents=True)
    (root / "config.properties").write_text("key_file=keys/mine.json\n")
    server = serve(root=root, disable_token_authorization=False, wait=False, load_models=None)
    client = Client(tmp_path, f"http://127.0.0.1:{server.management}")
    eventually(lambda: client.run("list")[0] == 0)
    assert client.do("token") == "The server's key file has a new management key.\n"
    assert client.do("list") == "There are no models.\n"
    (root / "keys").rename(root / "moved")
    assert client.run("list")[0] == 1


def test_no_token_is_found(serve, tmp_path):
    server = serve(disable_token_authorization=False, wait=False, load_models=None)
    client = Client(tmp_path, f"http://127.0.0.1:{server.management}")
    eventually(lambda: client.run("list")[0] == 0)
    (server.root / "key_file.json").rename(server.root / "hidden")
    code, _, complaints = client.run("list")
    assert code == 1
    assert complaints == (
        "sconce models: error: Token Authorization failed. Token either incorrect, expired, or not "
        "provided correctly. There is no Authorization header: send 'Authorization: Bearer KEY' "
        "with the management key of the server's key_file.json\n"
        "Give --token, set SCONCE_TOKEN, or run this as the server's user on its machine, or in "
        "the folder of its key file.\n")
    (server.root / "hidden").rename(tmp_path / "key_file.json")
    assert client.do("list") == "There are no models.\n"


def test_the_address_of_this_folder(server, client, tmp_path):
    (tmp_path / "config.properties").write_text(
        f"management_address=http://127.0.0.1:{server.management}\n")
    assert Client(tmp_path).do("list") == "There are no models.\n"
    assert Client(tmp_path, client.address + "/").do("list") == "There are no models.\n"


class Hostile(BaseHTTPRequestHandler):
    def do_GET(self):
        name = "a\x1b]0;owned\x07\u009b31m"
        lists = self.path.startswith("/models?limit=100")
        body = {"models": [{"modelName": name, "modelUrl": "u\nv"}]} if lists else [
            {"modelName": name, "modelVersion": v, "minWorkers": "x", "workers": 7}
            for v in ("1\x1b[2J", name)]
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


def test_what_a_terminal_would_obey_is_not_printed(tmp_path):
    hostile = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=hostile.serve_forever, daemon=True).start()
    client = Client(tmp_path, f"http://127.0.0.1:{hostile.server_port}")
    try:
        for command in (["list"], ["list", "-q"], ["describe", "x"]):
            output = client.do(*command)
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", output), output
    finally:
        hostile.shutdown()
        hostile.server_close()
