# SPDX-License-Identifier: Apache-2.0
"""The package model_archiver, by which scripts pack: it does what the command does."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from e2e.server import BIN, REPOSITORY

CONFIG = ("import argparse, json\n"
          "from model_archiver import ModelArchiver, ModelArchiverConfig\n"
          "from model_archiver.model_archiver_error import ModelArchiverError\n"
          "from model_archiver.model_packaging import generate_model_archive, package_model\n"
          "from model_archiver.model_packaging_utils import ModelExportUtils\n"
          "config = ModelArchiverConfig('m', 'h.py', '1.0', extra_files='x.txt')\n")

WAYS = {
    "class": "ModelArchiver.generate_model_archive(config)",
    "function": "generate_model_archive(config)",
    "two steps": "package_model(config, ModelExportUtils.generate_manifest_json(config))",
    "namespace": "package_model(argparse.Namespace(**vars(config)),"
                 " manifest=ModelExportUtils.generate_manifest_json(config))",
    "arguments": "generate_model_archive()",
}


@pytest.fixture
def script(tmp_path):
    (tmp_path / "h.py").write_text("def handle(data, context):\n    return data\n")
    (tmp_path / "x.txt").write_text("x")

    def run(text, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "python"),
                       "PATH": f"{BIN}:{os.environ['PATH']}"}
        return subprocess.run([sys.executable, "-c", CONFIG + text, *arguments], cwd=tmp_path,
                              env=environment, capture_output=True, text=True, timeout=60,
                              check=False)

    return run


def manifest(path):
    with zipfile.ZipFile(path) as z:
        assert sorted(z.namelist()) == ["MAR-INF/MANIFEST.json", "h.py", "x.txt"]
        return json.loads(z.read("MAR-INF/MANIFEST.json"))


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_pack(script, tmp_path, way):
    done = script(WAYS[way], "--model-name=m", "--handler=h.py", "-v", "1.0",
                  "--extra-files=x.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert manifest(tmp_path / "m.mar")["model"] == {
        "modelName": "m", "handler": "h.py", "modelVersion": "1.0"}


def test_a_manifest_of_ones_own(script, tmp_path):
    done = script("own = json.loads(ModelExportUtils.generate_manifest_json(config))\n"
                  "own['model']['sequenceMaxIdleMSec'] = 5\n"
                  # Older scripts do not know every member.
                  "package_model(argparse.Namespace(model_name='m', handler='h.py', version='1',"
                  " runtime='python', extra_files='x.txt'), json.dumps(own))")
    assert (done.returncode, done.stderr) == (0, "")
    assert manifest(tmp_path / "m.mar")["model"]["sequenceMaxIdleMSec"] == 5


def test_failures(script):
    """The command's messages; what is missing is a FileNotFoundError as well."""
    done = script(
        "try:\n"
        "    config.model_name, config.model_file = 'a b', 'none.py'\n"
        "    ModelArchiver.generate_model_archive(config)\n"
        "except ModelArchiverError as e:\n"
        "    print(str(e).splitlines()[0], isinstance(e, FileNotFoundError))\n"
        "config.model_name = 'm'\n"
        "try:\n"
        "    generate_model_archive(config)\n"
        "except FileNotFoundError as e:\n"
        "    print(e, isinstance(e, ModelArchiverError))\n")
    assert done.stdout.splitlines() == [
        "Model name contains special characters. False",
        "Given file none.py cannot be packed: No such file or directory True"]
    assert done.stderr.count("ERROR - ") == 2
