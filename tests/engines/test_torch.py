# SPDX-License-Identifier: Apache-2.0
"""TorchScript beside torch in Python, with the torch of the Python that runs this."""

import os
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import pytest
import torch

from engines.engine import REPOSITORY, Engine, EngineError, Raw, RunError, this_python

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
# What is built for torch stays from run to run.
CACHE = REPOSITORY / ".cache" / "sconce"


@pytest.fixture
def engine(tmp_path):
    CACHE.mkdir(parents=True, exist_ok=True)
    return Engine("torch", tmp_path, python=this_python(), cache=CACHE)


def inputs(**shapes):
    return {"inputs": [{"name": name, "datatype": datatype, "shape": shape}
                       for name, (datatype, *shape) in shapes.items()]}


def rand(*shape, seed=0):
    return np.random.RandomState(seed).rand(*shape).astype("f4")


def save(module, path, *example, **options):
    module.eval()
    with torch.no_grad():
        made = torch.jit.trace(module, example, **options) if example else torch.jit.script(module)
    made.save(str(path))
    return made


def close(a, b):
    wanted = b.detach().numpy() if isinstance(b, torch.Tensor) else b
    np.testing.assert_allclose(a, wanted, rtol=1e-5, atol=1e-5)
    return True


# ---- modules ----

class Convolution(torch.nn.Module):
    """Everything that freezing and fusing changes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU6(),
            torch.nn.Conv2d(8, 4, 3, stride=2), torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(), torch.nn.Linear(4, 5))

    def forward(self, image):
        return self.body(image)


class Named(torch.nn.Module):
    """Several inputs, a number among them, and a dict of results."""

    def forward(self, a, b, times: int, flag: bool = False) -> Dict[str, torch.Tensor]:
        total = a + b
        for _ in range(times):
            total = total + b
        return {"total": -total if flag else total, "first": a}


class Pair(NamedTuple):
    low: torch.Tensor
    high: torch.Tensor


class Tuples(torch.nn.Module):
    def forward(self, x) -> Tuple[torch.Tensor, Pair, int, List[float]]:
        low, high = x.chunk(2, dim=1)
        return x.t(), Pair(low, high), x.size(0), [0.5, 1.5]


class Choosing(torch.nn.Module):
    """Control flow by what the numbers are."""

    def forward(self, x):
        if bool(x.sum() > 0):
            return x * 2
        return x - 1


class Writing(torch.nn.Module):
    """Writes to its input, whose memory others read."""

    def forward(self, x):
        x.add_(1)
        return x


class Counting(torch.nn.Module):
    """Keeps state."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count += 1
        return x + self.count


class Mixing(torch.nn.Module):
    """Examples of a batch touch each other."""

    def forward(self, x):
        return x - x.mean(0, keepdim=True)


class Words(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.table = torch.nn.EmbeddingBag(10, 3, mode="mean")
        self.words = torch.nn.Embedding(10, 3)

    def forward(self, ids, mask: Optional[torch.Tensor] = None):
        found = self.words(ids)
        if mask is not None:
            found = found * mask.unsqueeze(-1)
        return found.sum(1)


# ---- what a model is said to be ----

def test_a_traced_model_brings_its_sizes(engine, tmp_path):
    x = rand(1, 3, 32, 32)
    module = save(Convolution(), tmp_path / "m.pt", torch.from_numpy(x))
    result = engine.call(tmp_path / "m.pt", [x], repeat=3)
    assert result.signature == {
        "inputs": [{"name": "image", "dtype": "FP32", "shape": [-1, 3, 32, 32]}],
        "outputs": [{"name": "output", "dtype": "FP32", "shape": [-1, 5]}], "batches": True}
    assert close(result.outputs()[0], module(torch.from_numpy(x)))
    assert result.info["version"] == torch.__version__
    assert not [line for level, line in result.log if level >= 2]


def test_a_scripted_model_is_told_its_sizes(engine, tmp_path):
    module = save(Convolution(), tmp_path / "m.pt")
    result = engine.call(tmp_path / "m.pt", config=inputs(picture=("FP32", -1, 3, 32, 32)))
    assert result.signature["inputs"] == [
        {"name": "picture", "dtype": "FP32", "shape": [-1, 3, 32, 32]}]
    assert result.signature["batches"]
    x = rand(2, 3, 40, 24)
    result = engine.call(tmp_path / "m.pt", [x])
    assert result.signature["inputs"] == [
        {"name": "image", "dtype": "FP32", "shape": [-1, -1, -1, -1]}]
    assert close(result.outputs()[0], module(torch.from_numpy(x)))


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 13])
def test_any_number_of_examples(engine, tmp_path, rows):
    module = save(Convolution(), tmp_path / "m.pt", torch.rand(1, 3, 32, 32))
    x = rand(rows, 3, 32, 32)
    result = engine.call(tmp_path / "m.pt", [x], batch=8, instances=2, threads=2, repeat=3)
    assert close(result.outputs()[0], module(torch.from_numpy(x)))


def test_examples_that_touch_each_other_are_not_stacked(engine, tmp_path):
    save(Mixing(), tmp_path / "m.pt", torch.rand(4, 3))
    result = engine.call(tmp_path / "m.pt", batch=4)
    assert not result.signature["batches"]
    assert result.signature["inputs"][0]["shape"] == [4, 3]


def test_several_inputs_a_number_and_a_dict(engine, tmp_path):
    module = save(Named(), tmp_path / "m.pt")
    a, b = rand(2, 3), rand(2, 3, seed=1)
    shapes = inputs(a=("FP32", -1, 3), b=("FP32", -1, 3))
    result = engine.call(tmp_path / "m.pt", [a, b, np.int64(3)], config=shapes)
    assert [i["name"] for i in result.signature["inputs"]] == ["a", "b", "times"]
    assert result.signature["inputs"][2] == {"name": "times", "dtype": "INT64", "shape": []}
    assert [o["name"] for o in result.signature["outputs"]] == ["total", "first"]
    want = module(torch.from_numpy(a), torch.from_numpy(b), 3)
    assert all(close(*pair) for pair in zip(result.outputs(), want.values()))
    flag = engine.call(tmp_path / "m.pt", [a, b, np.int64(1), np.bool_(True)],
                       config=inputs(a=("FP32", -1, 3), b=("FP32", -1, 3), times=("INT64",),
                                     flag=("BOOL",)))
    assert close(flag.outputs()[0], -(a + 2 * b))


def test_an_optional_input_is_one_when_it_is_named(engine, tmp_path):
    module = save(Words(), tmp_path / "m.pt")
    ids, mask = np.array([[1, 2, 3]]), np.array([[1, 0, 1]], "f4")
    assert close(engine.run(tmp_path / "m.pt", ids)[0], module(torch.from_numpy(ids)))
    both = engine.run(tmp_path / "m.pt", ids, mask,
                      config=inputs(ids=("INT64", 1, 3), mask=("FP32", 1, 3)))
    assert close(both[0], module(torch.from_numpy(ids), torch.from_numpy(mask)))


def test_tuples_numbers_and_views(engine, tmp_path):
    save(Tuples(), tmp_path / "m.pt")
    x = rand(2, 4)
    result = engine.call(tmp_path / "m.pt", [x], config=inputs(x=("FP32", 2, 4)), repeat=3)
    assert [o["name"] for o in result.signature["outputs"]] == [
        "output_0", "output_1.low", "output_1.high", "output_2", "output_3"]
    turned, low, high, rows, numbers = result.outputs()
    assert close(turned, x.T) and close(low, x[:, :2]) and close(high, x[:, 2:])
    assert rows.tolist() == 2 and numbers.tolist() == [0.5, 1.5]


def test_control_flow(engine, tmp_path):
    save(Choosing(), tmp_path / "m.pt")
    x = rand(2, 3)
    result = engine.call(tmp_path / "m.pt", [x], [-x], [x], config=inputs(x=("FP32", 2, 3)))
    assert close(result.outputs(0)[0], 2 * x) and close(result.outputs(1)[0], -x - 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions(engine, tmp_path, dtype):
    kind = getattr(torch, dtype)
    module = save(Convolution().to(kind), tmp_path / "m.pt", torch.rand(1, 3, 32, 32).to(kind))
    x = torch.rand(1, 3, 32, 32).to(kind)
    name = {"float16": "FP16", "bfloat16": "BF16", "float64": "FP64"}[dtype]
    raw = Raw(name, (1, 3, 32, 32), x.view(torch.int16 if x.itemsize == 2 else torch.int64)
              .numpy().tobytes())
    got = engine.run(tmp_path / "m.pt", raw, repeat=3)[0]
    np.testing.assert_allclose(got.astype("f8"), module(x).detach().double(), atol=2e-2)


# ---- memory ----

def test_inputs_are_not_written(engine, tmp_path):
    save(Writing(), tmp_path / "m.pt")
    x = rand(2, 3)
    assert close(engine.run(tmp_path / "m.pt", x, repeat=3)[0], x + 1)
    assert close(engine.run(tmp_path / "m.pt", x, lend=1000, repeat=2)[0], x + 1)


def test_instances_do_not_share_state(engine, tmp_path):
    save(Counting(), tmp_path / "m.pt")
    x = rand(1, 3)
    result = engine.call(tmp_path / "m.pt", [x], [x], instances=2,
                         config=inputs(x=("FP32", 1, 3)))
    assert close(result.outputs(0)[0], x + 1) and close(result.outputs(1)[0], x + 2)
    assert any("keeps state" in line for _, line in result.log)


@pytest.mark.parametrize("lend", [0, 16, 4096])
def test_memory_that_is_lent(engine, tmp_path, lend):
    save(Named(), tmp_path / "m.pt")
    a, b = rand(2, 3), rand(2, 3, seed=1)
    outputs = engine.run(tmp_path / "m.pt", a, b, np.int64(0), lend=lend)
    assert close(outputs[0], a + b) and close(outputs[1], a)


def test_threads_may_change(engine, tmp_path):
    module = save(Convolution(), tmp_path / "m.pt", torch.rand(1, 3, 32, 32))
    x = rand(1, 3, 32, 32)
    result = engine.call(tmp_path / "m.pt", [x], [x], threads=2, retune=1, instances=2)
    assert close(result.outputs(1)[0], module(torch.from_numpy(x)))


# ---- AOTInductor ----

class Packaged(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x, *, mask):
        return {"logits": torch.relu(self.layer(x)) + mask.sum(1, keepdim=True),
                "more": (x.t(), mask)}


@pytest.fixture(scope="session")
def package():
    """Compiling takes half a minute: it stays from run to run."""
    path = CACHE / f"package-{torch.__version__}.pt2"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        rows, length = torch.export.Dim("rows", max=64), torch.export.Dim("length", max=512)
        program = torch.export.export(
            Packaged().eval(), (torch.rand(2, 4),), {"mask": torch.rand(2, 5)},
            dynamic_shapes={"x": {0: rows}, "mask": {0: rows, 1: length}})
        made = CACHE / f"made-{os.getpid()}.pt2"
        torch._inductor.aoti_compile_and_package(
            program, package_path=str(made),
            inductor_configs={"aot_inductor.compile_wrapper_opt_level": "O0"})
        made.rename(path)
    return path


def packaged(x, mask):
    with torch.no_grad():
        result = Packaged()(torch.from_numpy(x), mask=torch.from_numpy(mask))
    return [result["logits"], *result["more"]]


@pytest.mark.parametrize("rows, length", [(1, 1), (2, 5), (7, 3)])
def test_a_package(engine, package, rows, length):
    x, mask = rand(rows, 4), rand(rows, length, seed=1)
    result = engine.call(package, [x, mask], instances=2, threads=2, repeat=3)
    assert result.signature["inputs"] == [
        {"name": "input_0", "dtype": "FP32", "shape": [-1, 4]},
        {"name": "mask", "dtype": "FP32", "shape": [-1, -1]}]
    assert [o["name"] for o in result.signature["outputs"]] == ["logits", "more_0", "more_1"]
    assert all(close(*pair) for pair in zip(result.outputs(), packaged(x, mask)))


def test_a_package_is_tried_with_sizes_that_are_said(engine, package):
    shapes = inputs(x=("FP32", -1, 4), mask=("FP32", -1, 6))
    x, mask = rand(3, 4), rand(3, 6, seed=1)
    result = engine.call(package, [x, mask], config=shapes, batch=4)
    assert [i["shape"] for i in result.signature["inputs"]] == [[-1, 4], [-1, 6]]
    assert result.signature["inputs"][0]["name"] == "x"
    assert not result.signature["batches"], "x.t() has no row for each example"
    assert close(result.outputs()[0], packaged(x, mask)[0])


@pytest.mark.parametrize("x, mask, words", [
    (rand(2, 5), rand(2, 3), "has to be 4"),
    (rand(2, 4), rand(3, 3), '"mask" has size 3 in dimension 0, which has to be 2'),
    (rand(2, 4), rand(2), "datatype or rank"), (rand(8), rand(2, 3), "datatype or rank"),
    (rand(2, 4).astype("f8"), rand(2, 3), "datatype or rank"),
    (rand(0, 4), rand(0, 3), "at least 1"),
])
def test_a_package_is_never_given_what_it_does_not_look_at(engine, package, x, mask, words):
    with pytest.raises(RunError, match=words) as error:
        engine.run(package, x, mask)
    assert error.value.bad_input


def rezip(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = change(info.filename, old.read(info))
            if data is not None:
                new.writestr(zipfile.ZipInfo(info.filename), data)


def test_a_package_without_its_source_needs_a_description(engine, package, tmp_path):
    rezip(package, tmp_path / "m.pt2",
          lambda name, data: b"// nothing" if name.endswith(".cpp") else data)
    with pytest.raises(EngineError, match=r'datatype and rank of its input "input_0".*inputs:'):
        engine.call(tmp_path / "m.pt2")
    shapes = inputs(x=("FP32", -1, 4), mask=("FP32", -1, 5))
    x, mask = rand(2, 4), rand(2, 5, seed=1)
    result = engine.call(tmp_path / "m.pt2", [x, mask], config=shapes)
    assert close(result.outputs()[0], packaged(x, mask)[0])


def test_a_package_leaves_no_files(engine, package, tmp_path):
    """Whatever ends the process later: what was unpacked has gone once it is loaded."""
    places = tmp_path / "places"
    places.mkdir()
    run = subprocess.Popen(
        [str(word) for word in engine.command(package, [[rand(2, 4), rand(2, 5)]], tmp_path,
                                              {"repeat": 10_000_000})],
        env={**os.environ, "TMPDIR": str(places)}, stdout=subprocess.DEVNULL)
    maps = Path(f"/proc/{run.pid}/maps")
    try:
        while "wrapper.so" not in maps.read_text() or list(places.iterdir()):
            assert run.poll() is None, "what was unpacked is there to the end"
    finally:
        run.kill()
        run.wait()


def test_a_package_for_another_processor(engine, package, tmp_path):
    rezip(package, tmp_path / "m.pt2",
          lambda name, data: data.replace(b'"cpu"', b'"cuda"') if name.endswith(".json") else data)
    with pytest.raises(EngineError, match="compiled for the device cuda"):
        engine.call(tmp_path / "m.pt2")


def test_a_package_that_is_cut_off(engine, package, tmp_path):
    (tmp_path / "m.pt2").write_bytes(package.read_bytes()[:100_000])
    with pytest.raises(EngineError, match="central directory"):
        engine.call(tmp_path / "m.pt2")


# ---- what is refused ----

@pytest.mark.parametrize("value", [rand(2, 5), rand(3), np.zeros((2, 4), "i8")])
def test_inputs_that_do_not_fit(engine, tmp_path, value):
    torch.manual_seed(0)
    save(torch.nn.Linear(4, 2), tmp_path / "m.pt")
    with pytest.raises(RunError) as error:
        engine.run(tmp_path / "m.pt", value)
    assert error.value.bad_input and "\n" not in str(error.value)


class Failing(torch.nn.Module):
    def forward(self, x):
        if bool(x.sum() > 0):
            raise ValueError("the sum is above zero")
        return x


class Listing(torch.nn.Module):
    def forward(self, images: List[torch.Tensor]):
        return images[0]


class Growing(torch.nn.Module):
    """Names of results are made as it runs."""

    def forward(self, x):
        ret: Dict[str, torch.Tensor] = {}
        for i in range(x.size(0)):
            ret["row" + str(i)] = x[i]
        return ret


def test_an_exception_of_the_model(engine, tmp_path):
    save(Failing(), tmp_path / "m.pt")
    with pytest.raises(RunError, match="^the sum is above zero$") as error:
        engine.run(tmp_path / "m.pt", np.ones(2, "f4"))
    assert not error.value.bad_input


def test_inputs_of_other_kinds(engine, tmp_path):
    save(Listing(), tmp_path / "m.pt")
    with pytest.raises(EngineError, match=r'"images", a List\[Tensor\]: only tensors'):
        engine.call(tmp_path / "m.pt")


def test_results_that_a_file_does_not_tell(engine, tmp_path):
    save(Growing(), tmp_path / "m.pt")
    with pytest.raises(EngineError, match=r"Dict\[str, Tensor\].*engine: inputs:"):
        engine.call(tmp_path / "m.pt")
    x = rand(2, 3)
    result = engine.call(tmp_path / "m.pt", [x], [rand(1, 3)], config=inputs(x=("FP32", 2, 3)))
    assert close(result.outputs()[1], x[1])
    with pytest.raises(RunError, match='returned no "row1" this time'):
        result.outputs(1)


def whole(tmp_path):
    save(Convolution(), tmp_path / "whole.pt", torch.rand(1, 3, 32, 32))
    return (tmp_path / "whole.pt").read_bytes()


@pytest.mark.parametrize("spoil, words", [
    (lambda data: b"", "no ZIP archive"),
    (lambda data: b"junk" * 100, "no ZIP archive"),
    (lambda data: data[:len(data) // 2], "central directory"),
    (lambda data: data[:200] + bytes(len(data) - 400) + data[-200:], "PytorchStreamReader"),
])
def test_broken_files(engine, tmp_path, spoil, words):
    (tmp_path / "m.pt").write_bytes(spoil(whole(tmp_path)))
    with pytest.raises(EngineError, match=words) as error:
        engine.call(tmp_path / "m.pt")
    assert error.value.stage == "load"


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_are_refused_unread(engine, tmp_path, zipped):
    torch.save(Convolution().state_dict(), tmp_path / "m.pt",
               _use_new_zipfile_serialization=zipped)
    with pytest.raises(EngineError, match=r"pickled Python object.*torch\.jit\.trace"):
        engine.call(tmp_path / "m.pt")


def test_an_exported_program_is_not_compiled(engine, tmp_path):
    program = torch.export.export(torch.nn.Linear(4, 2), (torch.rand(1, 4),))
    torch.export.save(program, tmp_path / "m.pt2")
    with pytest.raises(EngineError, match="aoti_compile_and_package"):
        engine.call(tmp_path / "m.pt2")


def test_a_gpu_needs_a_torch_for_it(engine, tmp_path):
    if torch.version.cuda:
        pytest.skip("this torch is for GPUs")
    with pytest.raises(EngineError, match="is for processors only"):
        engine.call(tmp_path / "m.pt", device="cuda:0")


# ---- what is built ----

@pytest.fixture
def compiler(tmp_path):
    """Writes a compiler that notes its calls and then does what is said."""
    def make(does):
        path = tmp_path / "compiler"
        path.write_text(f"#!/bin/sh\necho called >>{tmp_path}/calls\n{does}\n")
        path.chmod(0o755)
        return {"CXX": str(path)}
    return make


# Links nothing: what it makes has the shim's name and lacks its symbol.
EMPTY = """while [ "$1" != -o ]; do shift; done
echo 'int empty;' | cc -shared -fPIC -x c -o "$2" -"""


def test_two_processes_build_once(engine, tmp_path, compiler):
    cache = tmp_path / "cache" / "deep"
    environment = compiler(EMPTY)
    errors = []

    def load(folder):
        folder.mkdir()
        with pytest.raises(EngineError) as error:
            Engine("torch", folder, python=this_python(), cache=cache).call(
                tmp_path / "m.pt", environment=environment)
        errors.append(str(error.value))

    threads = [threading.Thread(target=load, args=[tmp_path / f"t{i}"]) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 3 and all("does not work, remove it" in e for e in errors)
    assert (tmp_path / "calls").read_text() == "called\n"
    names = sorted(path.suffix for path in cache.iterdir())
    assert names == [".lock", ".so"]


def test_what_a_killed_process_began_is_finished(engine, tmp_path, compiler):
    """A worker that takes too long to start is killed. Its compiler is not begun again."""
    cache, gate = tmp_path / "cache", tmp_path / "gate"
    os.mkfifo(gate)
    environment = {**os.environ, **compiler(f"read line <{gate}\n{EMPTY}")}
    command = engine.command(tmp_path / "m.pt", [], tmp_path, {"cache": cache})
    run = subprocess.Popen([str(word) for word in command], env=environment,
                           stdout=subprocess.DEVNULL)
    with open(gate, "w") as opened:     # waits until the compiler reads it
        run.kill()
        run.wait()
        opened.write("go\n")
    with pytest.raises(EngineError, match="does not work, remove it"):
        engine.call(tmp_path / "m.pt", cache=cache, environment=compiler("exit 1"))
    assert (tmp_path / "calls").read_text() == "called\n"


@pytest.mark.parametrize("does, words", [
    ("echo 'shim.cpp:1:2: error: no such header'; exit 1", "no such header"),
    ("kill -9 $$", "could not be built: Killed"),
])
def test_a_compiler_that_fails(engine, tmp_path, compiler, does, words):
    with pytest.raises(EngineError, match=words):
        engine.call(tmp_path / "m.pt", cache=tmp_path / "cache", environment=compiler(does))
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_no_compiler(engine, tmp_path):
    with pytest.raises(EngineError, match=r"no C\+\+ compiler.*apt-get install g\+\+"):
        engine.call(tmp_path / "m.pt", cache=tmp_path / "cache",
                    environment={"CXX": str(tmp_path / "none")})


def test_what_was_built_beside_the_plug_in_needs_no_compiler(engine, tmp_path):
    """As an image has it, in which nothing can be written and there is no compiler."""
    save(Convolution(), tmp_path / "m.pt", torch.ones(1, 3, 8, 8))
    engine.call(tmp_path / "m.pt")
    place = tmp_path / "engines"
    shutil.copytree(engine.plugin.parent / "torch", place / "torch")
    engine.plugin = shutil.copy(engine.plugin, place)
    shutil.copytree(CACHE, place / "torch" / "built")
    none = {"CXX": str(tmp_path / "none")}
    for cache in (tmp_path / "cache", None):
        engine.call(tmp_path / "m.pt", cache=cache, environment=none)
    shutil.rmtree(place / "torch" / "built")
    with pytest.raises(EngineError, match="no folder to keep"):
        engine.call(tmp_path / "m.pt", cache=None, environment=none)


def test_no_torch(tmp_path):
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([this_python(), "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    with pytest.raises(EngineError, match="PyTorch is not installed: .*-m pip install torch"):
        Engine("torch", tmp_path, python=python, cache=tmp_path).call(environment={
            "PATH": os.environ["PATH"]})
