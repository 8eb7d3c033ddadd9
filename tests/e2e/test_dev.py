# SPDX-License-Identifier: Apache-2.0
"""`sconce dev` on a terminal: saving, breaking, debugging, ending."""

import json
import os
import re
import signal
import subprocess
import threading

import pytest
import requests

from e2e.archives import make_folder, make_mar
from e2e.server import BIN, MARK, PYTHON, assert_error, eventually, free_ports, marked_processes
from e2e.terminal import Terminal

PATIENCE = 30


def says(text, more=""):
    return ("def handle(data, context):\n"
            "    if data is None:\n"
            "        return None\n"
            f"{more}"
            f"    return [{text!r} for _ in data]\n")


class Dev:
    """One that runs in a folder, and its terminal."""

    def __init__(self, root, *arguments, **environment):
        self.root = root
        # In the folder that is watched, to see that it is not.
        self.tmp = root / f"tmp-{os.urandom(4).hex()}"
        self.code = None
        self.tmp.mkdir(exist_ok=True)
        self.port, = free_ports(1)
        self.terminal = Terminal()
        self.mark = os.urandom(8).hex()
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("TS_", "SCONCE_")) and k != "NO_COLOR"}
        env.update({MARK: self.mark, "TMPDIR": str(self.tmp), "TERM": "xterm", **environment})
        if "SCONCE_PYTHON_PATH" in os.environ:
            env["SCONCE_PYTHON_PATH"] = os.environ["SCONCE_PYTHON_PATH"]
        self.process = subprocess.Popen(
            [str(BIN / "sconce"), "dev", *arguments, "--port", str(self.port), "--python", PYTHON],
            cwd=root, env=env, start_new_session=True, stdin=self.terminal.slave,
            stdout=self.terminal.slave, stderr=self.terminal.slave)
        os.close(self.terminal.slave)

    def wait_for(self, text, times=1):
        eventually(lambda: self.terminal.plain().count(text) >= times,
                   lambda: f"{times} times {text!r} in:\n{self.terminal.plain()}")
        return self

    def call(self, body=b"", model="handler"):
        return requests.post(f"http://127.0.0.1:{self.port}/predictions/{model}", data=body,
                             timeout=PATIENCE)

    def end(self, number=signal.SIGINT):
        if self.code is not None:
            return self.code
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.code = self.process.wait(PATIENCE)
        text = self.terminal.plain()
        self.terminal.close()
        eventually(lambda: not marked_processes(self.mark), "no process is left", 5)
        assert list(self.tmp.iterdir()) in ([], [self.tmp / "models"])
        assert "AddressSanitizer" not in text and "runtime error" not in text, text
        return self.code

    def kill(self):
        for pid, _ in marked_processes(self.mark):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def dev(tmp_path):
    running = []

    def start(*arguments, **environment):
        running.append(Dev(tmp_path, *arguments, **environment))
        return running[-1]

    try:
        yield start
        for d in running:
            assert d.end() == 0
    finally:
        for d in running:
            d.kill()


def save(path, text):
    """As editors do: a new file in the place of the old one."""
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


def test_what_it_says(dev, tmp_path):
    """As it is meant for a terminal, whatever the settings say about logs."""
    (tmp_path / "settings").write_text("log_format=json\nlog_request_id=true\n")
    (tmp_path / "handler.py").write_text(
        "import logging\n" + says("one", "    logging.warning('it logs')\n"
                                         "    print('it prints')\n"))
    d = dev("handler.py", "--config", "settings").wait_for("predictions/handler")
    assert d.call().text == "one"
    d.wait_for("it prints")
    assert re.fullmatch(
        f"Serving handler.py on http://127.0.0.1:{d.port}; Ctrl-C ends it.\n"
        "Tokens are off, and only this machine can call it.\n"
        r"Ready in [\d.]+ s\." "\n"
        f"  curl -T FILE http://127.0.0.1:{d.port}/predictions/handler\n"
        "it logs\nit prints\n", d.terminal.plain()), d.terminal.plain()


def test_saving_under_load_loses_nothing(dev, tmp_path):
    """While it loads the old one answers, and what that had accepted is answered by it."""
    file = tmp_path / "handler.py"
    file.write_text(says("version 0"))
    d = dev("handler.py").wait_for("Ready in")
    over, answers, failures = threading.Event(), set(), []

    def ask():
        with requests.Session() as session:
            while not over.is_set():
                r = session.post(f"http://127.0.0.1:{d.port}/predictions/handler", data=b"x",
                                 timeout=PATIENCE)
                answers.add(r.text)
                if r.status_code != 200:
                    failures.append((r.status_code, r.text))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for n in range(1, 5):
            save(file, says(f"version {n}"))
            eventually(lambda n=n: f"version {n}" in answers, lambda: d.terminal.plain())
    finally:
        over.set()
        for t in threads:
            t.join()
    assert failures == []
    assert answers == {f"version {n}" for n in range(5)}


def test_a_syntax_error_leaves_the_old_one(dev, tmp_path):
    file = tmp_path / "handler.py"
    file.write_text(says("good"))
    d = dev("handler.py").wait_for("Ready in")
    file.write_text("def handle(data, context)\n    pass\n")
    d.wait_for("Not reloaded; the version before it goes on answering.")
    shown = d.terminal.plain()
    assert f'  File "{file}", line 1\n    def handle(data, context)\n' in shown
    assert "SyntaxError: expected ':'" in shown
    assert "Traceback" not in shown and "sconce/" not in shown.replace("sconce/handler", "")
    assert shown.count("SyntaxError") == 1
    assert d.call().text == "good"
    file.write_text(says("better"))
    d.wait_for("Reloaded in")
    assert d.call().text == "better"


def test_broken_from_the_start(dev, tmp_path):
    file = tmp_path / "handler.py"
    file.write_text("import nothing_of_this_name\n")
    d = dev("handler.py").wait_for("Not loaded; save a change to try again.")
    assert "ModuleNotFoundError: No module named 'nothing_of_this_name'" in d.terminal.plain()
    cause = ("ModuleNotFoundError: No module named 'nothing_of_this_name' (handler.py, line 1)")
    assert_error(d.call(), 503, "ServiceUnavailableException",
                 f"Failed to start workers for model handler version: 1.0. {cause}")
    assert cause in requests.get(f"http://127.0.0.1:{d.port}/readyz", timeout=PATIENCE).text
    file.write_text("def handle(data, context)\n    pass\n")
    d.wait_for("Not loaded; save a change to try again.", 2)
    assert "SyntaxError: expected ':' (handler.py, line 1)" in d.call().text
    save(file, says("now"))
    d.wait_for("Ready in")
    assert d.call().text == "now"


RAISES = """
def deeper(n):
    return 1 / n

def handle(data, context):
    return [deeper(0)] if data else None
"""


def test_tracebacks(dev, tmp_path):
    """They begin with the handler, in colours; the old worker shows what it runs."""
    file = tmp_path / "handler.py"
    file.write_text(RAISES)
    d = dev("handler.py").wait_for("Ready in")
    assert d.call(b"x").status_code == 503
    d.wait_for("ZeroDivisionError: division by zero")
    text = d.terminal.read()
    assert "\x1b[1;31mZeroDivisionError\x1b[0m" in text
    assert d.terminal.plain().partition("Traceback (most recent call last):\n")[2].startswith(
        f'  File "{file}", line 6, in handle\n    return [deeper(0)] if data else None\n')
    save(file, "# no handler\n" * 10)
    d.wait_for("Not reloaded")
    assert d.call(b"x").status_code == 503
    d.wait_for("ZeroDivisionError: division by zero", 2)
    assert d.terminal.plain().rpartition("Traceback")[2].count("    return 1 / n\n") == 1


def test_no_colour(dev, tmp_path):
    (tmp_path / "handler.py").write_text(RAISES)
    d = dev("handler.py", NO_COLOR="1").wait_for("Ready in")
    d.call(b"x")
    d.wait_for("ZeroDivisionError: division by zero")
    assert "\x1b[" not in d.terminal.read()


def test_breakpoint(dev, tmp_path):
    """The debugger has the terminal, and takes its time: a worker that is replaced meanwhile
    goes on."""
    file = tmp_path / "handler.py"
    file.write_text("def handle(data, context):\n"
                    "    if data is None:\n"
                    "        return None\n"
                    "    name = bytes(data[0]['body']).decode()\n"
                    "    breakpoint()\n"
                    "    return [name]\n")
    (tmp_path / "model-config.yaml").write_text(
        "responseTimeout: 1\nminWorkers: 3\nmaxWorkers: 3\n")
    d = dev("handler.py").wait_for("Ready in")
    model, = requests.get(f"http://127.0.0.1:{d.port}/models/handler", timeout=PATIENCE).json()
    assert (len(model["workers"]), model["responseTimeout"]) == (1, 0)
    answer = []
    caller = threading.Thread(target=lambda: answer.append(d.call(b"the client").text))
    caller.start()
    d.wait_for("(Pdb) ")
    d.terminal.type("p name\n")
    d.wait_for("'the client'")
    save(file, says("another"))
    d.wait_for("Reloaded in")
    assert d.call().text == "another"
    d.terminal.type("name = 'typed here'\n")
    d.wait_for("(Pdb) ", 3)
    d.terminal.type("continue\n")
    caller.join(PATIENCE)
    assert answer == ["typed here"]


def test_ending_at_a_prompt(dev, tmp_path):
    (tmp_path / "handler.py").write_text(says("x", "    breakpoint()\n"))
    d = dev("handler.py").wait_for("Ready in")
    answers = []
    caller = threading.Thread(target=lambda: answers.append(d.call().status_code))
    caller.start()
    d.wait_for("(Pdb) ")
    assert d.end() == 0
    caller.join(PATIENCE)
    assert answers[0] >= 500


def test_a_crash_is_told(dev, tmp_path):
    (tmp_path / "handler.py").write_text(
        says("alive", "    if bytes(data[0]['body']) == b'die':\n        import os; os.abort()\n"))
    d = dev("handler.py").wait_for("Ready in")
    assert d.call(b"die").status_code == 500
    d.wait_for("The handler's process has ended by itself; it is started again.")
    assert d.call(b"x").text == "alive"


SEES = """
import json, os

class Handler:
    def initialize(self, context):
        self.seen = {"manifest": context.manifest["model"],
                     "files": sorted(os.listdir(context.system_properties["model_dir"])),
                     "weights": open(context.manifest["model"]["serializedFile"]).read(),
                     "config": context.model_yaml_config.get("answer")}

    def handle(self, data, context):
        return [self.seen for _ in data]
"""


def test_files_from_elsewhere(dev, tmp_path):
    """They are where an archive would have them, and saving one reloads."""
    (tmp_path / "src").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "src/handler.py").write_text(SEES)
    (tmp_path / "src/names.json").write_text("{}")
    (tmp_path / "out/net.py").write_text("")
    (tmp_path / "out/trained.pt").write_text("first")
    (tmp_path / "out/more.yaml").write_text("answer: 42\n")
    d = dev("src/handler.py", "--name", "seer", "--model-file", "out/net.py", "--serialized-file",
            "out/trained.pt", "--config-file", "out/more.yaml").wait_for("Ready in")
    seen = d.call(model="seer").json()
    assert seen["files"] == ["MAR-INF", "more.yaml", "names.json", "net.py", "trained.pt"]
    assert (seen["weights"], seen["config"]) == ("first", 42)
    assert seen["manifest"] == {
        "modelVersion": "1.0", "modelName": "seer", "handler": str(tmp_path / "src/handler.py"),
        "modelFile": "net.py", "serializedFile": "trained.pt", "configFile": "more.yaml"}
    (tmp_path / "out/trained.pt").write_text("second")
    d.wait_for("Reloaded in")
    assert d.call(model="seer").json()["weights"] == "second"


def test_a_folder_without_a_manifest(dev, tmp_path):
    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / "my_handler.py").write_text(
        "import helper\n" + says("x", "    return [helper.TEXT]\n"))
    (folder / "helper.py").write_text("TEXT = 'helped'\n")
    (folder / "test_it.py").write_text("")
    d = dev("my model").wait_for("predictions/my_model")
    assert d.call(model="my_model").text == "helped"
    (folder / "helper.py").write_text("TEXT = 'helped again'\n")
    d.wait_for("helper.py changed, loading it again.").wait_for("Reloaded in")
    assert d.call(model="my_model").text == "helped again"


def test_a_model_folder_and_an_archive(dev, tmp_path):
    make_folder(tmp_path, "folder", says("from a folder"), version="3.0")
    d = dev("folder").wait_for("predictions/folder")
    assert d.call(model="folder").text == "from a folder"
    (tmp_path / "folder/folder_handler.py").write_text(says("from the folder again"))
    d.wait_for("Reloaded in")
    assert d.call(model="folder").text == "from the folder again"
    make_mar(tmp_path, "packed", says("packed"))
    p = dev("packed.mar").wait_for("predictions/packed")
    assert p.call(model="packed").text == "packed"
    make_mar(tmp_path, "packed", says("packed again"), file="new")
    os.replace(tmp_path / "new", tmp_path / "packed.mar")
    p.wait_for("Reloaded in")
    assert p.call(model="packed").text == "packed again"


def test_what_does_not_reload(dev, tmp_path):
    """What a handler writes beside itself is no change, and an unchanged file neither."""
    file = tmp_path / "handler.py"
    file.write_text(says("x"))
    d = dev("handler.py").wait_for("Ready in")
    (tmp_path / "output.png").write_bytes(b"x")
    (tmp_path / ".hidden.py").write_text("x")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/x.py").write_text("x")
    os.chmod(file, 0o600)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/real.py").write_text("x")
    d.wait_for("Reloaded in")
    assert d.terminal.plain().count(" changed, loading it again.") == 1


def test_its_terminal_is_closed(dev, tmp_path):
    (tmp_path / "handler.py").write_text(says("x"))
    d = dev("handler.py").wait_for("Ready in")
    assert d.end(signal.SIGHUP) == 0


def test_wrong_usage(tmp_path):
    def run(*arguments):
        done = subprocess.run([str(BIN / "sconce"), "dev", *arguments], cwd=tmp_path, text=True,
                              capture_output=True, timeout=PATIENCE, check=False,
                              env={**os.environ, "TMPDIR": str(tmp_path)})
        return done.returncode, done.stderr

    (tmp_path / "empty").mkdir()
    (tmp_path / "h.py").write_text("")
    assert run("missing.py") == (2, "sconce dev: error: missing.py: No such file or directory\n")
    assert run("empty") == (2, "sconce dev: error: empty has no handler.py and not just one Python "
                               "file: --handler names the handler\n")
    assert run("h.py", "--model-file", "nothing") == (
        2, "sconce dev: error: nothing: No such file or directory\n")
    assert run("h.py", "--handler", "x")[0] == 2
    assert list(tmp_path.glob("sconce-dev-*")) == []


def test_a_port_that_is_taken(dev, tmp_path):
    (tmp_path / "handler.py").write_text(says("x"))
    d = dev("handler.py").wait_for("Ready in")
    done = subprocess.run([str(BIN / "sconce"), "dev", "handler.py", "--port", str(d.port)],
                          cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, "TMPDIR": str(d.tmp)}, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1, f"sconce: cannot start: http://127.0.0.1:{d.port}: address already in use; --port takes "
           "another")
    assert json.loads(requests.get(f"http://127.0.0.1:{d.port}/ping", timeout=PATIENCE).text)
