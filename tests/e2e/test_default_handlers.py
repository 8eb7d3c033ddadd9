# SPDX-License-Identifier: Apache-2.0
"""The default handlers served for real, with small models that answer what can be foretold."""

import base64
import io
import json

import pytest

from e2e.archives import make_mar
from e2e.gate import background

pytestmark = pytest.mark.torch

CLASSIFIER = '''
import torch


class Brightness(torch.nn.Module):
    """Ten classes, the brighter the image the likelier the last."""

    def forward(self, x):
        return x.mean(dim=(1, 2, 3))[:, None] * torch.arange(10.0)
'''
SEGMENTER = '''
import torch


class Channels(torch.nn.Module):
    """The class of a pixel is its brightest channel."""

    def forward(self, x):
        return {"out": 10 * x}
'''
DETECTOR = '''
import torch


class Whole(torch.nn.Module):
    """Sees two things, both as large as the image."""

    def forward(self, images):
        return [{"boxes": torch.tensor([[0.0, 0.0, x.shape[2], x.shape[1]]] * 2),
                 "labels": torch.tensor([1, 0]), "scores": torch.tensor([0.75, 0.25])}
                for x in images]
'''
TEXTS = '''
import torch


class Sum(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.EmbeddingBag(4, 3, mode="sum")

    def forward(self, text, offsets):
        return self.embedding(text, offsets)
'''
# Integrated gradients, which the package captum would bring.
CAPTUM = '''
import torch


class IntegratedGradients:
    def __init__(self, model):
        self.model = model

    def attribute(self, inputs, target, n_steps):
        total = torch.zeros_like(inputs)
        for i in range(n_steps):
            point = (inputs * (i + 0.5) / n_steps).requires_grad_()
            total += torch.autograd.grad(self.model(point)[:, target].sum(), point)[0]
        return inputs * total / n_steps
'''
BATCHER = '''
from ts.handler_utils.micro_batching import MicroBatching
from ts.torch_handler.image_classifier import ImageClassifier


class Batcher(ImageClassifier):
    def __init__(self):
        super().__init__()
        self.handle = MicroBatching(self, 2, {"preprocess": 2})
'''
PLAIN = '''
import sys

from ts.context import Context


class Plain:
    def initialize(self, context):
        assert isinstance(context, Context)

    def handle(self, data, context):
        context.metrics.add_counter("Visits", 1)
        return [[name for name in ("torch", "numpy", "PIL") if name in sys.modules] for _ in data]
'''


def saved(value):
    import torch

    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


def png(color):
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (300, 260), color).save(out, "PNG")
    return out.getvalue()


def exported():
    import torch

    class Double(torch.nn.Module):
        def forward(self, x):
            return 2 * x

    out = io.BytesIO()
    torch.export.save(torch.export.export(Double(), (torch.ones(1, 2),)), out)
    return out.getvalue()


def make_models(store):
    import torch

    def make(name, source, entry, files=None, **options):
        make_mar(store, name, "\n", entry=entry, modelFile=f"{name}_model.py",
                 files={f"{name}_model.py": source, **(files or {})}, **options)

    names = {str(i): f"class {i}" for i in range(10)}
    make("classifier", CLASSIFIER, "image_classifier", config="batchSize: 2\nmaxBatchDelay: 10\n",
         files={"index_to_name.json": json.dumps(names), "captum/attr.py": CAPTUM})
    make("bare", CLASSIFIER, "image_classifier",
         files={"captum/__init__.py": "raise ImportError('not here')\n"})
    make("segmenter", SEGMENTER, "image_segmenter")
    make("detector", DETECTOR, "object_detector",
         files={"index_to_name.json": '{"object_type_names": ["sky", "cat"]}'})
    make("texts", TEXTS, "text_classifier", serializedFile="model.pt", files={
        "model.pt": saved({"embedding.weight": torch.eye(4, 3)}),
        "source_vocab.pt": saved({"the": 0, "cat": 1, "the cat": 3}),
        "index_to_name.json": '{"0": "the", "1": "cat", "2": "dog"}'})
    make_mar(store, "batcher", BATCHER, modelFile="batcher_model.py",
             files={"batcher_model.py": CLASSIFIER}, config="batchSize: 8\nmaxBatchDelay: 50\n")
    make_mar(store, "program", "\n", entry="base_handler", serializedFile="double.pt2",
             files={"double.pt2": exported()}, envelope="body",
             config='pt2:\n  compile:\n    enable: true\n    backend: eager\n')
    make_mar(store, "plain", PLAIN)


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    pytest.importorskip("torch")
    pytest.importorskip("PIL")
    make_models(module_tmp)
    return module_serve(store=module_tmp, default_workers_per_model=1)


WHITE_FIRST = [f"class {i}" for i in (9, 8, 7, 6, 5)]


def test_image_classifier(server):
    white = png("white")
    assert list(server.predict("classifier", white).json()) == WHITE_FIRST
    assert list(server.predict("classifier", png("black")).json()) == [
        f"class {i}" for i in range(5)]
    text = ("white.txt", base64.b64encode(white).decode(), "text/plain")
    answer = server.call("POST", "/predictions/classifier", files={"data": text})
    assert list(answer.json()) == WHITE_FIRST


def test_image_classifier_with_numbers(server):
    numbers = [[[1.0, 1.0]]] * 3
    assert list(server.predict("bare", json=numbers).json()) == ["9", "8", "7", "6", "5"]


def test_image_segmenter(server):
    rows = server.predict("segmenter", png("red")).json()
    assert len(rows) == len(rows[0]) == 224 and rows[0][0] == [0.0, pytest.approx(1, abs=1e-3)]


def test_object_detector(server):
    assert server.predict("detector", png("white")).json() == [
        {"cat": [0.0, 0.0, 300.0, 260.0], "score": 0.75}]


def test_text_classifier(server):
    answer = server.predict("texts", "<b>The cat!</b>", headers={"content-type": "text/plain"})
    the, cat, dog = answer.json().values()
    assert list(answer.json()) == ["the", "cat", "dog"]
    assert the == pytest.approx(cat) and the > dog


def test_micro_batches(server):
    white, black = png("white"), png("black")
    answers = [background(server.predict, "batcher", white if i % 2 else black) for i in range(8)]
    for i, answer in enumerate(answers):
        assert list(answer.result().json())[0] == ("9" if i % 2 else "0")


def test_exported_program_compiled(server):
    assert server.predict("program", json=[1.0, 2.0]).json() == [2.0, 4.0]


def test_description(server):
    """Default handlers have nothing to add to it."""
    model, = server.manage("GET", "/models/classifier?customized=true").json()
    assert (model["modelName"], model["customizedMetadata"]) == ("classifier", {})


# ---- explanations ----

def test_explanation(server):
    numbers = [[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]]
    files = {name: (name, json.dumps(value), "application/json")
             for name, value in (("data", numbers), ("target", 3))}
    answer = server.call("POST", "/explanations/classifier", files=files)
    assert answer.status_code == 200, answer.text
    # The model is linear: what a number adds to class 3 is 3/6 of it.
    assert sum(answer.json(), []) == [pytest.approx(row) for row in
                                      [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]]]


def test_explanation_without_captum(server):
    answer = server.call("POST", "/explanations/bare", data=png("white"))
    assert answer.status_code == 503
    assert "an explanation needs the package captum" in answer.json()["message"]
    assert server.predict("bare", png("white")).status_code == 200


# ---- what is not imported ----

def test_plain_handlers_import_neither_torch_nor_numpy(server):
    assert server.predict("plain", b"x").json() == []
    pid, = server.worker_pids("plain")
    with open(f"/proc/{pid}/maps") as maps:
        assert "libtorch" not in maps.read()
