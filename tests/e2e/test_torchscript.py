# SPDX-License-Identifier: Apache-2.0
"""TorchScript out of packages, served from bare files without Python, beside torch in Python."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.gate import background
from e2e.server import BIN, eventually

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

JSON = {"Content-Type": "application/json"}
RAW = {"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def network():
    """EfficientNet-lite0 with its weights, as the example has it."""
    sys.path.insert(0, str(REPOSITORY / "examples" / "image"))
    import make_model

    folder = REPOSITORY / ".cache" / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    return make_model.cached(folder / "model.pt", make_model.make_model_apart)


@pytest.fixture(scope="session")
def models(network, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    shutil.copy(network, store / "efficientnet.pt")
    shutil.copy(network, store / "stacked.pt")
    (store / "efficientnet.pt.yaml").write_text("minWorkers: 2\nmaxWorkers: 2\n")
    (store / "stacked.pt.yaml").write_text("batchSize: 4\nmaxBatchDelay: 50\n")
    (store / "pickled.pt").write_bytes(b"\x80\x02}q\x00.")
    return store


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """What is built once is kept from run to run: where, and for which Python."""
    cache = REPOSITORY / ".cache"
    done = subprocess.run([BIN / "sconce", "engines", "build", "torch", "--python", sys.executable],
                          env={**os.environ, "XDG_CACHE_HOME": str(cache),
                               "TMPDIR": str(tmp_path_factory.mktemp("tmp"))},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("torch is ready for PyTorch "), \
        done.stdout + done.stderr
    return {"XDG_CACHE_HOME": str(cache)}


@pytest.fixture(scope="module")
def server(module_serve, models, prepared):
    return module_serve(store=models, python=sys.executable, environment=prepared,
                        load_models="efficientnet.pt,stacked.pt")


@pytest.fixture(scope="module")
def reference(network):
    import torch

    module = torch.jit.load(str(network)).eval()

    def run(array):
        with torch.inference_mode():
            return module(torch.from_numpy(array)).numpy()
    return run


def images(n, seed=0):
    import numpy as np

    return np.random.RandomState(seed).rand(n, 3, 224, 224).astype("f4")


def logits(answer):
    import numpy as np

    assert answer.status_code == 200, answer.text
    shape = [int(d) for d in answer.headers["x-tensor-shape"].split(",")]
    return np.frombuffer(answer.content, "f4").reshape(shape)


def close(a, b):
    import numpy as np

    np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-5)
    return True


def test_raw_tensors(server, reference):
    x = images(1)
    assert close(logits(server.predict("efficientnet", x.tobytes(), headers=RAW)), reference(x))
    described, = server.describe("efficientnet")
    assert described["inputs"] == [
        {"name": "inputs", "datatype": "FP32", "shape": [-1, 3, 224, 224]}]
    assert described["outputs"] == [{"name": "output", "datatype": "FP32", "shape": [-1, 1000]}]
    assert described["workers"][0]["runtime"] == "PyTorch"


def test_json_and_what_does_not_fit(server, reference):
    x = images(1, seed=1)
    answer = server.predict("efficientnet", json.dumps(x.tolist()), headers=JSON)
    assert close(answer.json(), reference(x))
    refused = server.predict("efficientnet", json.dumps([[1, 2]]), headers=JSON)
    assert refused.status_code == 400 and '"inputs"' in refused.json()["message"]


def test_requests_are_stacked(server, reference):
    x = images(10, seed=2)
    want = reference(x)
    futures = [background(server.predict, "stacked", row.tobytes(), headers=RAW) for row in x]
    for future, row in zip(futures, want):
        assert close(logits(future.result())[0], row)


def test_nothing_is_lost_when_it_is_killed(server, reference):
    x = images(1, seed=3)
    want = reference(x)
    before = server.worker_pids("efficientnet")[0]
    futures = [background(server.predict, "efficientnet", x.tobytes(), headers=RAW)
               for _ in range(20)]
    os.kill(before, signal.SIGKILL)
    futures += [background(server.predict, "efficientnet", x.tobytes(), headers=RAW)
                for _ in range(20)]
    assert all(close(logits(future.result()), want) for future in futures)
    eventually(lambda: before not in server.worker_pids("efficientnet"), "another process")


def test_two_instances_share_the_weights(server):
    """350 MiB is what a model of 18 MB may take with two instances."""
    pid, = set(server.worker_pids("efficientnet"))
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    assert int(re.search(r"^Pss: +(\d+) kB", rollup, re.M).group(1)) < 350 * 1024


def test_a_pickle_is_not_read(serve, models, prepared):
    server = serve(store=models, python=sys.executable, environment=prepared, load_models=None)
    answer = server.register("pickled.pt", initial_workers=1, synchronous="true")
    assert answer.status_code == 400
    assert "pickled.pt is no TorchScript" in answer.json()["message"]
    assert "torch.jit.trace(model, example)" in answer.json()["message"]


def test_a_list_of_engines(prepared, tmp_path):
    done = subprocess.run([BIN / "sconce", "engines", "--python", sys.executable],
                          env={**os.environ, **prepared, "TMPDIR": str(tmp_path)},
                          capture_output=True, text=True, check=True)
    line, = re.findall("^torch .*$", done.stdout, re.M)
    assert re.match(r"torch +PyTorch 2.* cpu.*/torch \(built\)$", line), line


@pytest.mark.parametrize("engine, words", [("echo", "needs nothing to be built"),
                                           ("none", 'there is no engine "none"')])
def test_engines_that_need_no_building(tmp_path, engine, words):
    done = subprocess.run([BIN / "sconce", "engines", "build", engine], capture_output=True,
                          text=True, check=False, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 1 and words in done.stderr
