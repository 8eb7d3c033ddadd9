# SPDX-License-Identifier: Apache-2.0
"""Compiled models: the manners of a module, and when the original is used instead."""

import json
import logging
import sys
import types
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from sconce.compiled import artifact, runtimes, tree
from sconce.compiled.model import CompiledModel
from sconce.optimize import build, candidates, handler_run, record
from sconce.optimize.failure import Failure, Unsuitable
from ts.torch_handler.base_handler import BaseHandler


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x, *, scale=1.0):
        return {"logits": self.layer(x) * scale, "pair": (x, x + 1)}


def call_of(net, *args, **kwargs):
    """What is recorded of a call."""
    with torch.no_grad():
        inputs, skeleton = tree.flatten([args, kwargs])
        outputs, returned = tree.flatten(net(*args, **kwargs))
    specs = [{"name": "x", "dtype": "float32", "shape": [None] + list(t.shape)[1:]} for t in inputs]
    return {"inputs": skeleton, "outputs": returned, "specs": specs}, inputs, outputs


def compiled(net, original=None, **call):
    described, _, _ = call_of(net, torch.rand(2, 3), **call)
    made = []

    def load(threads):
        made.append(threads)

        def run(tensors):
            with torch.inference_mode():
                return tree.flatten(net(*tensors, **call))[0]
        return run
    model = CompiledModel("a test", load, torch.get_num_threads(), torch.device("cpu"), described,
                          original)
    return model, made


def test_trees():
    value = [(torch.tensor(1), {"a": torch.tensor(2), "b": None}), {"c": [torch.tensor(3), "text"]}]
    tensors, skeleton = tree.flatten(value)
    assert [int(t) for t in tensors] == [1, 2, 3]
    assert tree.build(json.loads(json.dumps(skeleton)), tensors) == value
    assert tree.paths(skeleton) == ["0.0", "0.1.a", "1.c.0"]
    with pytest.raises(TypeError, match="object is neither a tensor"):
        tree.flatten([object()])


def test_an_engine_names_outputs_by_their_places():
    x = torch.tensor(1)
    for value, names in ((x, ["output"]), ((x, [x, x]), ["output_0", "output_1_0", "output_1_1"]),
                         ({"a": x, "b": (x, {"c": x})}, ["a", "b_0", "b_1.c"])):
        assert build.torch_names(tree.flatten(value)[1]) == names
    with pytest.raises(Unsuitable):
        build.torch_names(tree.flatten((x, None))[1])
    dicts = tree.flatten({"out": x, "aux": x})[1]
    assert build.output_names(dicts, ["input_0"]) == ["out", "aux"]
    assert build.output_names(dicts, ["aux"]) == ["output_0", "output_1"]
    assert build.output_names(tree.flatten((x, None))[1], []) == ["output_0"]


def tensorrt_of(monkeypatch, shape, half=False, batches=True, scripted=False):
    """What Torch-TensorRT is asked for: it needs a GPU."""
    asked = {}
    fake = types.ModuleType("torch_tensorrt")
    fake.Input = lambda **sizes: sizes
    fake.dynamo = types.SimpleNamespace(
        compile=lambda program, inputs, **how: asked.update(inputs=inputs, how=how))
    fake.save = lambda module, path, output_format, inputs: asked.update(format=output_format)
    monkeypatch.setitem(sys.modules, "torch_tensorrt", fake)
    flat = build.Flat(torch.nn.Linear(3, 2), tree.flatten([(torch.rand(2, 3),), {}])[1])
    subject = types.SimpleNamespace(
        specs=[{"shape": shape}], batches=batches, scripted=scripted, flat=flat,
        example=[torch.rand(2, 3)])
    candidates.by_name("tensorrt-fp16" if half else "tensorrt").make(subject, Path("/nowhere"))
    return asked


def test_tensorrt_is_told_which_sizes_there_may_be(monkeypatch):
    asked = tensorrt_of(monkeypatch, [None, 3])
    assert asked["inputs"] == [{"min_shape": (1, 3), "opt_shape": (2, 3), "dtype": torch.float32,
                                "max_shape": (candidates.TENSORRT_ROWS, 3)}]
    assert asked["how"] == {"disable_tf32": True} and asked["format"] == "torchscript"
    asked = tensorrt_of(monkeypatch, [2, 3], half=True, batches=False)
    assert asked["how"]["enabled_precisions"] == {torch.half, torch.float}
    assert [t.shape for t in asked["inputs"]] == [(2, 3)]
    for wrong in ({"shape": [None, None]}, {"shape": [None, 3], "batches": False},
                  {"shape": [None, 3], "scripted": True}):
        with pytest.raises(Unsuitable):
            tensorrt_of(monkeypatch, **wrong)


def test_batches_that_are_larger_than_an_artefact_takes_are_the_originals():
    model, _ = compiled(Net())
    model._call["rows_max"] = 4
    assert model(torch.rand(4, 3))["logits"].shape == (4, 2)
    with pytest.raises(TypeError, match="x of 5 rows, more than 4"):
        model(torch.rand(5, 3))


@pytest.mark.parametrize("built,text", [
    (None, "is for processors only: install one that is built for CUDA"),
    ("12.8", "sees no GPU here: nvidia-smi says whether the driver does")])
def test_a_gpu_that_is_not_there_is_a_sentence(monkeypatch, built, text):
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Failure, match="--device cuda: PyTorch .*" + text):
        handler_run._check_device("cuda")


def test_named_tuples_keep_their_names():
    Pair = namedtuple("Pair", "left right")
    largest = torch.tensor([[1.0, 3.0, 2.0]]).topk(2)
    tensors, skeleton = tree.flatten([Pair(torch.tensor(1), None), largest])
    pair, found = tree.build(json.loads(json.dumps(skeleton)), tensors)
    assert (int(pair.left), pair.right) == (1, None) and pair == tuple(pair)
    assert found.values.tolist() == [[3, 2]] and found.indices.tolist() == [[1, 2]]
    assert tree.paths(skeleton) == ["0.left", "1.values", "1.indices"]


def test_mappings_of_numbers_are_refused():
    """As text they would be other keys, and by number other outputs."""
    with pytest.raises(TypeError, match="has the key 1, which is no text"):
        tree.flatten({1: torch.tensor(1), 0: torch.tensor(0)})


def test_aotinductor_gets_tensors_as_they_lie_in_memory(monkeypatch):
    seen = []
    monkeypatch.setattr(torch._inductor, "aoti_load_package",
                        lambda path, device_index: lambda *t: seen.extend(t) or t[0] + 1)
    run = runtimes.AotInductor.load("x.pt2", {}, 1, torch.device("cpu"))
    for given in (torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
                  torch.rand(1, 3).expand(4, 3), torch.rand(2, 8)[:, ::2]):
        found, = run([given])
        assert seen[-1].is_contiguous() and torch.equal(found, given + 1)


def test_answers_can_be_changed_in_place(archive):
    handler = archive()
    with torch.no_grad():
        found = handler.model(torch.ones(1, 3))
    assert float(found.add_(1)[0][0]) == pytest.approx(3.001)


def test_outputs_have_the_shape_of_the_originals():
    net = Net().eval()
    model, _ = compiled(net)
    x = torch.rand(4, 3)
    answer = model.eval().to("cpu").to(torch.float32).float().cpu()(x)
    assert torch.equal(answer["logits"], net(x)["logits"])
    assert answer.logits is answer["logits"] is answer[0]
    assert isinstance(answer.pair, tuple) and torch.equal(answer.pair[1], x + 1)
    with pytest.raises(AttributeError, match="no output 'loss'; it has logits, pair"):
        _ = answer.loss
    assert model.device == torch.device("cpu") and not model.training


def test_what_it_cannot_do_is_explained():
    model, _ = compiled(Net())
    for use, text in ((lambda: model.half(), "precision of a compiled model"),
                      (lambda: model.to(torch.float16), "sconce optimize --allow"),
                      (lambda: model.to("cuda"), "cannot be moved to cuda"),
                      (lambda: model.train(), "cannot be trained"),
                      (lambda: next(model.parameters()), "no weights of its own"),
                      (lambda: model.config, "optimized: false"),
                      (lambda: model.original(), "no module that a test was made from"),
                      (lambda: model(torch.rand(2, 4)), r"shape \[2, 4\], not \['any', 3\]"),
                      (lambda: model(torch.rand(2, 3).double()), "of torch.float64, not float32"),
                      (lambda: model(x=torch.rand(2, 3)), "with the inputs x, not the inputs 0")):
        with pytest.raises((AttributeError, RuntimeError, TypeError), match=text):
            use()


def test_the_original_takes_gradients_and_calls_of_other_kinds(caplog):
    net, loaded = Net(), []

    def original():
        loaded.append(net)
        return net
    model, _ = compiled(net, original)
    x = torch.rand(2, 3)
    with torch.no_grad():
        model(x)
    assert not loaded
    x.requires_grad_()
    model(x)["logits"].sum().backward()
    assert x.grad is not None
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert torch.equal(model(x.detach(), scale=2.0)["logits"], net(x, scale=2.0)["logits"])
    assert len(caplog.records) == 1 and "Optimize it again" in caplog.text
    assert loaded == [net]


@pytest.mark.parametrize("arguments,told", [
    ((torch.rand(0, 3),), "with x, which is empty"), ((torch.rand(2, 3), object()), "object is")])
def test_the_original_answers_what_compiled_code_may_not_be_given(caplog, arguments, told):
    def net(x, *_):
        return {"logits": x * 3, "pair": (x, x)}
    model, _ = compiled(Net(), lambda: net)
    with torch.no_grad(), caplog.at_level(logging.WARNING):
        assert torch.equal(model(*arguments)["logits"], arguments[0] * 3)
    assert told in caplog.text


@pytest.mark.parametrize("function,batches", [
    (lambda x: (x * 2, None), True), (lambda x: (x * 2, x.shape[0]), False)])
def test_a_number_that_tells_of_the_batch_is_no_constant(function, batches):
    recorder = record.Recorder(function)
    recorder(torch.rand(1, 3))
    assert record._facts(function, recorder._calls)["batches"] is batches


def test_inputs_are_recorded_before_the_model_changes_them():
    recorder = record.Recorder(lambda x: x.mul_(2))
    recorder(torch.ones(1, 3))
    assert recorder._calls[0]["inputs"][0].tolist() == [[1, 1, 1]]


def test_it_follows_the_number_of_threads():
    model, made = compiled(Net())
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        model(torch.rand(1, 3))
        model(torch.rand(1, 3))
    finally:
        torch.set_num_threads(before)
    assert made == [before, before + 1]


def test_threads_that_know_different_numbers_do_not_load_it_by_turns():
    """torch tells a thread the number once: an older one has another than a newer one."""
    model, made = compiled(Net())
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1) as older, ThreadPoolExecutor(1) as newer:
        older.submit(model, torch.ones(2, 3)).result()
        try:
            torch.set_num_threads(before + 1)
            for _ in range(3):
                newer.submit(model, torch.ones(2, 3)).result()
                older.submit(model, torch.ones(2, 3)).result()
        finally:
            torch.set_num_threads(before)
    assert made == [before, before + 1]


@pytest.mark.parametrize("found,wanted,result", [
    ([1.0, 2.0], [1.0, 2.0], 0), ([1.0, 2.2], [1.0, 2.0], 0.1), ([1.0], [1.0, 2.0], float("inf")),
    ([float("nan")], [float("nan")], 0), ([float("nan")], [1.0], float("inf")),
    ([float("inf")], [float("inf")], 0), ([0.0], [0.0], 0), ([], [], 0)])
def test_differences(found, wanted, result):
    assert artifact.difference(torch.tensor(found), torch.tensor(wanted)) == pytest.approx(result)


def test_differences_of_whole_numbers():
    assert artifact.difference(torch.tensor([1, 2]), torch.tensor([1, 2])) == 0
    assert artifact.difference(torch.tensor([1, 3]), torch.tensor([1, 2])) == float("inf")


# ---- what an archive brings ----

class Doubles(torch.nn.Module):
    def forward(self, x):
        return x * 2


@pytest.fixture
def archive(tmp_path):
    """A model folder whose artefact is known from the original: it adds a thousandth."""
    class Almost(torch.nn.Module):
        def forward(self, x):
            return x * 2 + 0.001

    x = torch.rand(1, 3)
    torch.jit.save(torch.jit.script(Doubles()), str(tmp_path / "model.pt"))
    (tmp_path / "optimized").mkdir()
    torch.jit.save(torch.jit.script(Almost()), str(tmp_path / "optimized" / "model.pt"))
    call, inputs, outputs = call_of(Doubles(), x)
    torch.save({"inputs": inputs, "outputs": outputs}, str(tmp_path / "optimized" / "probe.pt"))
    facts = {"format": artifact.FORMAT, "runtime": "torchscript", "options": {},
             "precision": "fp32", "artifact": "model.pt", "device": "cpu", "cpu_features": [],
             "tolerance": 0.01, "difference": 0.001, **call}

    def start(config=None, **changes):
        (tmp_path / "optimized" / "optimized.json").write_text(json.dumps({**facts, **changes}))
        handler = BaseHandler()
        handler.initialize(types.SimpleNamespace(
            system_properties={"model_dir": str(tmp_path), "gpu_id": None},
            manifest={"model": {"serializedFile": "model.pt"}}, model_yaml_config=config))
        return handler
    return start


def answer(handler):
    with torch.no_grad():
        return float(handler.model(torch.ones(1, 3))[0][0])


def test_an_optimized_model_is_used(archive, caplog):
    with caplog.at_level(logging.INFO):
        handler = archive()
    assert answer(handler) == pytest.approx(2.001)
    assert "The optimized model is used: TorchScript" in caplog.text
    assert float(handler.model.original()(torch.ones(1, 3))[0][0]) == 2


@pytest.mark.parametrize("changes,text", [
    ({"format": 99}, "made by another version of sconce"),
    ({"runtime": "abacus"}, "there is no runtime abacus"),
    ({"device": "cuda"}, "it was made for cuda"),
    ({"cpu_features": ["avx1024"]}, "this processor lacks avx1024"),
    ({"artifact": "gone.pt"}, "gone.pt"),
    ({"tolerance": 1e-7, "difference": 0.0}, "its outputs differ here by"),
])
def test_the_original_is_used_where_it_does_not_fit(archive, caplog, changes, text):
    handler = archive(**changes)
    assert answer(handler) == 2
    assert [r for r in caplog.records if "The optimized model is not used" in r.message]
    assert text in caplog.text


def test_a_runtime_that_is_missing_names_what_installs_it(archive, caplog, monkeypatch):
    monkeypatch.setattr(runtimes.OpenVino, "version", staticmethod(lambda: None))
    assert answer(archive(runtime="openvino")) == 2
    assert "OpenVINO is not installed: python -m pip install openvino" in caplog.text


def test_a_configuration_can_ask_for_the_original(archive):
    assert answer(archive({"optimized": False})) == 2
