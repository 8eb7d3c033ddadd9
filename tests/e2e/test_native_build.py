# SPDX-License-Identifier: Apache-2.0
"""What the engine torch lacks is built beside the handler that serves its model meanwhile. The
compiler of these tests copies what was built before, or fails."""

import sys
from pathlib import Path

import pytest

from e2e.archives import make_mar
from e2e.test_image import assets  # noqa: F401
from e2e.test_torchscript import prepared  # noqa: F401

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

COPIES = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
cp '{built}' "$2"
"""


@pytest.fixture
def store(tmp_path, assets):  # noqa: F811
    folder = tmp_path / "models"
    folder.mkdir()
    for name, config in (("net", ""), ("patient", "engine: {build: false}\n")):
        make_mar(folder, name, "\n", entry="image_classifier", serializedFile="model.pt",
                 files={"model.pt": assets.model.read_bytes()},
                 config="minWorkers: 1\nmaxWorkers: 1\n" + config)
    return folder


@pytest.fixture
def compiler(tmp_path, prepared):  # noqa: F811
    built, = (Path(prepared["XDG_CACHE_HOME"]) / "sconce").glob("torch-*[0-9a-f].so")

    def make(script):
        path = tmp_path / "c++"
        path.write_text(script.format(built=built))
        path.chmod(0o755)
        return {"CXX": str(path)}
    return make


def described(server, name):
    return server.describe(name)[0]


def test_built_beside_the_handler(serve, store, compiler, assets):  # noqa: F811
    server = serve(store=store, python=sys.executable, environment=compiler(COPIES),
                   load_models="net.mar", build_engines=True)
    assert described(server, "net")["path"] == "python"
    assert server.predict("net", assets.photo.read_bytes()).status_code == 200
    server.said("What the engine torch needs is built, in ")
    again = {"url": "net.mar", "model_name": "again", "initial_workers": 1}
    assert server.register(**again).status_code == 200
    assert described(server, "again")["path"] == "native"
    assert described(server, "net")["path"] == "python"
    assert server.predict("again", assets.photo.read_bytes()).status_code == 200


def test_tried_once(serve, store, compiler):
    fails = compiler("#!/bin/sh\necho 'x.h:1: error: no such thing' >&2\nexit 1\n")
    server = serve(store=store, python=sys.executable, build_engines=True, load_models="net.mar",
                   environment=fails)
    server.said("could not be built, so handlers serve its models: ")
    assert "no such thing" in server.console
    again = {"url": "net.mar", "model_name": "again", "initial_workers": 1}
    assert server.register(**again).status_code == 200
    assert described(server, "again")["path"] == "python"
    assert server.console.count("Building what the engine torch needs") == 1


@pytest.mark.parametrize("model,wanted", [("patient.mar", True), ("net.mar", False)])
def test_forbidden(serve, store, compiler, model, wanted):
    server = serve(store=store, python=sys.executable, build_engines=wanted, load_models=model,
                   environment=compiler("#!/bin/sh\nexit 1\n"))
    assert described(server, model.split(".")[0])["path"] == "python"
    assert "Building what the engine" not in server.console


def test_stopped_meanwhile(serve, store, compiler):
    server = serve(store=store, python=sys.executable, build_engines=True, load_models="net.mar",
                   environment=compiler("#!/bin/sh\nexec sleep 30\n"))
    server.said("Building what the engine torch needs")
    server.stop()
