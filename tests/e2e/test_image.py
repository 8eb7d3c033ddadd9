# SPDX-License-Identifier: Apache-2.0
"""Real models behind the default image handler, answering a real photograph."""

import io
import os
import signal
import sys

import pytest

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import REPOSITORY, eventually

pytestmark = pytest.mark.torch

CONSTANT = '''
import torch


class Constant(torch.nn.Module):
    """Whatever it sees, its weights are the answer."""

    def __init__(self):
        super().__init__()
        self.answer = torch.nn.Parameter(torch.zeros(6))

    def forward(self, x):
        return self.answer.expand(len(x), 6)
'''


@pytest.fixture(scope="module")
def assets():
    sys.path.insert(0, str(REPOSITORY / "examples" / "image"))
    try:
        import make_model
    finally:
        sys.path.pop(0)
    return make_model.prepare(REPOSITORY / ".cache" / "demo")


def make_classifier(folder, name, files, **model):
    """An archive without code of its own, as torch-model-archiver --handler image_classifier."""
    return make_mar(folder, name, "\n", entry="image_classifier", files=files, **model)


@pytest.fixture(scope="module")
def server(module_serve, module_tmp, assets):
    make_classifier(module_tmp, "net", {
        "model.pt": assets.model.read_bytes(), "index_to_name.json": assets.names.read_bytes(),
        "model-config.yaml": "batchSize: 4\nmaxBatchDelay: 50\nminWorkers: 1\nmaxWorkers: 2\n",
    }, serializedFile="model.pt", configFile="model-config.yaml")
    return module_serve(store=module_tmp)


def recognised(response):
    assert response.status_code == 200, response.text
    names = response.json()
    assert len(names) == 5 and list(names.values()) == sorted(names.values(), reverse=True)
    assert next(iter(names)) == "palace" and names["palace"] == pytest.approx(0.289, abs=0.003)


def test_photograph(server, assets):
    recognised(server.predict("net", assets.photo.read_bytes()))
    recognised(server.call("POST", "/predictions/net", files={"data": assets.photo.open("rb")}))


def test_batch(server, assets):
    photo = assets.photo.read_bytes()
    answers = [background(server.predict, "net", photo) for _ in range(8)]
    for answer in answers:
        recognised(answer.result())


def test_not_a_picture(server, assets):
    assert server.predict("net", b"not a picture").status_code == 503
    recognised(server.predict("net", assets.photo.read_bytes()))


def test_killed_worker_is_forked_again(server, assets):
    before, = server.worker_pids("net")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: server.worker_pids("net") not in ([], [before]))
    recognised(server.predict("net", assets.photo.read_bytes()))
    assert "zygote-torch exited" not in server.log("ts_log.log")


def test_two_workers_share_the_cores(server, assets):
    assert server.manage("PUT", "/models/net?min_worker=2&synchronous=true").status_code == 200
    photo = assets.photo.read_bytes()
    for answer in [background(server.predict, "net", photo) for _ in range(8)]:
        recognised(answer.result())
    threads = [int(line.split()[1]) for pid in server.worker_pids("net")
               for line in open(f"/proc/{pid}/status") if line.startswith("Threads:")]
    assert len(threads) == 2 and max(threads) <= os.cpu_count() + 1


def test_eager_model_with_weights(serve, tmp_path, assets):
    import torch

    weights = io.BytesIO()
    torch.save({"answer": torch.log(torch.tensor([1.0, 2, 3, 4, 5, 6]))}, weights)
    make_classifier(tmp_path, "constant", {"net.py": CONSTANT, "weights.pth": weights.getvalue()},
                    serializedFile="weights.pth", modelFile="net.py")
    answer = serve(store=tmp_path).predict("constant", assets.photo.read_bytes()).json()
    assert list(answer) == ["5", "4", "3", "2", "1"]
    assert list(answer.values()) == pytest.approx([n / 21 for n in (6, 5, 4, 3, 2)])
