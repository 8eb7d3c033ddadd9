# SPDX-License-Identifier: Apache-2.0
"""install_py_dep_per_model: packages of an archive, for its model alone, from wheels made here."""

import zipfile

import pytest

from e2e.archives import make_mar
from e2e.server import assert_error, eventually

HANDLER = '''
import sys

import pocket_package


def handle(data, context):
    return [{"version": pocket_package.VERSION, "prefix": sys.prefix,
             "ts": sys.modules["ts"].__file__} for _ in data or []]
'''


def make_wheel(folder, version):
    folder.mkdir(exist_ok=True)
    info = f"pocket_package-{version}.dist-info"
    files = {
        "pocket_package.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: pocket-package\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
                         "Tag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"pocket_package-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


def make_model(store, wheels, name, version, config="minWorkers: 1\nmaxWorkers: 1\n"):
    requirements = f"--no-index\n--find-links {wheels}\npocket-package=={version}\n"
    make_mar(store, name, HANDLER, requirementsFile="requirements.txt", config=config,
             files={"requirements.txt": requirements})


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store, wheels = module_tmp / "store", module_tmp / "wheels"
    store.mkdir()
    for version in ("1.0", "2.0"):
        make_wheel(wheels, version)
        make_model(store, wheels, "own" + version[0], version)
    make_model(store, wheels, "venv", "2.0", "minWorkers: 1\nmaxWorkers: 1\nuseVenv: true\n")
    make_model(store, wheels, "broken", "3.0")
    return module_serve(store=store, load_models="own1.mar,own2.mar",
                        install_py_dep_per_model=True)


def test_each_model_has_its_own(server):
    for name, version in (("own1", "1.0"), ("own2", "2.0")):
        assert server.predict(name).json()["version"] == version


def test_a_virtual_environment(server):
    assert server.register("venv.mar").status_code == 200
    answer = server.predict("venv").json()
    assert answer["version"] == "2.0"
    assert answer["prefix"].endswith("/venv")
    assert answer["ts"].endswith("python/ts/__init__.py")
    assert server.describe("venv")[0]["useVenv"] is True
    assert server.manage("DELETE", "/models/venv").status_code == 200


def test_what_cannot_be_installed(server):
    before = server.unpacked()
    assert_error(server.register("broken.mar"), 400, "ModelException",
                 "Custom pip package installation failed for model broken")
    assert "broken" not in server.models()
    server.logged("model_log.log", "pocket-package==3.0")
    eventually(lambda: server.unpacked() == before)
