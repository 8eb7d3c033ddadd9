# SPDX-License-Identifier: Apache-2.0
"""The Python packages beside TorchServe's: the same calls, the same values, errors and lines."""

import json
import os
import subprocess

import pytest

from compat.servers import VENV
from e2e.server import BIN, REPOSITORY

HERE = REPOSITORY / "tests" / "compat"


def run(script, arguments, folder, python_path):
    if not (VENV / "bin" / "torchserve").exists():
        pytest.skip("TorchServe is not installed: tools/setup.sh compat")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment.update(PYTHONPATH=python_path, PYTHONDONTWRITEBYTECODE="1",
                       PATH=f"{VENV / 'bin'}:{BIN}:/usr/bin:/bin", SOURCE_DATE_EPOCH="0")
    done = subprocess.run([VENV / "bin" / "python", HERE / script, *arguments], cwd=folder,
                          env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def outcomes(folder, python_path):
    (folder / "work-folder").mkdir(parents=True)
    lines = run("package_calls.py", ["work-folder"], folder, python_path).splitlines()
    return {line.pop("case"): line for line in map(json.loads, lines)}


def test_same_calls(tmp_path):
    theirs = outcomes(tmp_path / "theirs", "")
    ours = outcomes(tmp_path / "ours", str(REPOSITORY / "python"))
    assert list(theirs) == list(ours) and len(theirs) > 300
    different = {case: (theirs[case], ours[case]) for case in theirs if theirs[case] != ours[case]}
    assert not different, json.dumps(different, indent=1)


# What only TorchServe's own worker is made of.
PROTOCOL = {"create_predict_response", "create_load_model_response", "encode_response_headers",
            "retrieve_msg", "Service.predict", "Service.set_cl_socket", "deprecated",
            "execute_call", "WorkerThread", "load_properties"}
# Members of objects here, and of classes there.
OF_OBJECTS = {"Context.request_processor", "ModelArchiverConfig.export_path"}
# What modules of theirs import from others of theirs, and nobody from there.
PASSED_ON = {"ts.model_loader": {"MetricsCacheYamlImpl", "list_classes_from_module"},
             "ts.model_server": {"ArgParser"}, "ts.metrics.caching_metric": {"Dimension"}}
LEFT_OUT = ("ts.async_service", "ts.model_service_worker", "ts.llm_launcher",
            "ts.handler_utils.preprocess.built-in", "ts.torch_handler.unit_tests.test_",
            "ts.torch_handler.unit_tests.conftest")


def modules():
    """Of theirs, but for what handlers and scripts have no use for."""
    site, = (VENV / "lib").glob("python3*/site-packages")
    names = (".".join(path.relative_to(site).with_suffix("").parts).replace(".__init__", "")
             for package in ("ts", "model_archiver") for path in (site / package).rglob("*.py"))
    return sorted(name for name in names if not name.startswith(LEFT_OUT) or "test_utils" in name)


def test_same_names(tmp_path):
    """Everything public that a module of theirs defines or passes on is there in ours."""
    theirs = json.loads(run("package_faces.py", modules(), tmp_path, ""))
    ours = json.loads(run("package_faces.py", modules(), tmp_path, str(REPOSITORY / "python")))
    assert sum(face is not None for face in theirs.values()) > 50
    missing = []
    for module, face in theirs.items():
        if face is not None and ours[module] is None:
            missing.append(module)
            continue
        for name, members in (face or {}).items():
            have = set(ours[module].get(name, ()))
            wanted = {name} - set(ours[module]) or {f"{name}.{m}" for m in set(members) - have}
            known = PROTOCOL | OF_OBJECTS | PASSED_ON.get(module, set())
            missing += [f"{module}: {n}" for n in wanted - known]
    assert not missing, "\n".join(missing)
