# SPDX-License-Identifier: Apache-2.0
"""Testing handlers with pytest: in this process, or behind a real server.

    def test_it(sconce_model):
        model = sconce_model("handler.py")          # or a folder, or an archive
        assert model.predict({"x": 1}).json() == {"y": 2}

    def test_it_behind_a_server(sconce_server):
        server = sconce_server("handler.py")
        assert server.predict(b"...").status == 200

Paths are relative to the test's file. A wheel brings the fixtures with it; elsewhere it is
`pytest -p sconce.testing` with sconce's `python` folder in PYTHONPATH.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sconce.in_process import Answer, Model, encoded, find_sconce

_PATIENCE_S = 60


# ---- behind a server ----

class Server:
    """`sconce dev` with the model, on a port of its own; its Python is the one of the tests."""

    def __init__(self, path):
        self._tmp = tempfile.mkdtemp(prefix="sconce-testing-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.url = "http://127.0.0.1:%d" % port
        self._output = Path(self._tmp) / "output"
        with open(self._output, "wb") as output:
            self.process = subprocess.Popen(
                [find_sconce(), "dev", str(path), "--port", str(port), "--python", sys.executable],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self._tmp,
                env={**os.environ, "TMPDIR": self._tmp})
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    @property
    def output(self):
        """What the server and the handler have printed."""
        return self._output.read_text(errors="replace")

    def _wait(self):
        began = time.monotonic()
        pause = threading.Event()
        while "/predictions/" not in self.output:
            if self.process.poll() is not None or "\nNot loaded" in self.output:
                raise RuntimeError("the model cannot be served:\n" + self.output)
            if time.monotonic() - began > _PATIENCE_S:
                raise TimeoutError("the model is not ready after %d s:\n%s"
                                   % (_PATIENCE_S, self.output))
            pause.wait(0.01)
        self.model = self.output.partition("/predictions/")[2].split("\n")[0]

    def predict(self, data=b"", content_type="", headers=None):
        body, media = encoded(data, content_type)
        request = urllib.request.Request(
            "%s/predictions/%s" % (self.url, self.model), data=body, method="POST",
            headers={"Content-Type": media or "application/octet-stream", **(headers or {})})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_PATIENCE_S) as response:
                return Answer(response.status, response.headers, [response.read()])
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, [e.read()])

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(_PATIENCE_S)
        shutil.rmtree(self._tmp, ignore_errors=True)


# ---- for pytest ----

def _factory(request, make):
    folder = Path(str(getattr(request, "path", None) or request.fspath)).parent
    made = []

    def start(path=".", **options):
        made.append(make(folder / path, **options))
        return made[-1]

    def end():
        for one in reversed(made):
            one.close()
    return start, end


@pytest.fixture
def sconce_model(request):
    """sconce_model(path, batch_size=None): a model in this process, see sconce.testing.Model."""
    start, end = _factory(request, Model)
    yield start
    end()


@pytest.fixture
def sconce_server(request):
    """sconce_server(path): a model behind a server, see sconce.testing.Server."""
    start, end = _factory(request, Server)
    yield start
    end()
