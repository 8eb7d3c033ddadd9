# SPDX-License-Identifier: Apache-2.0
"""What `sconce optimize` decides, writes and shows; what it runs is in tests/optimize."""

import contextlib
import http.client
import io
import json
import os
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sconce.optimize import bare, candidates, choose, measure, pack, report, samples, table, tensors
from sconce.optimize.child import tell
from sconce.optimize.failure import Failure, Unsuitable, sentence
from sconce.optimize.interrupt import uninterrupted
from sconce.optimize.progress import Progress


def row(name, throughput=None, difference=0.0, agreement=1.0, **more):
    return {"name": name, "title": name.upper(), "model_ms": 10.0, "difference": difference,
            "agreement": agreement, "throughput": throughput, "latency_ms": throughput and 5.0,
            "load_s": 0.5, "memory": 100 << 20, **more}


ORIGINAL = row("original", 100)


@pytest.mark.parametrize("others,accept,name,why", [
    ([row("a", 200), row("b", 300)], False, "b", "the fastest"),
    ([row("a", 102)], False, None, "none is faster"),
    ([row("b", 300, 0.02)], False, None, "B is faster, but its outputs differ by"),
    ([row("a", 200), row("b", 300, 0.02)], False, "a", "the fastest within the tolerance"),
    ([row("a", 200), row("b", 201, 0.02)], False, "a", "the fastest"),
    ([row("a", 200, 1e-4, 0.98)], False, None, "agrees for only 98.0 %"),
    ([row("a", 200), row("b", 300, 0.02)], True, "b", "--accept allows"),
    ([row("a", 200, float("inf"))], False, None, "differ by inf"),
    ([{"name": "a", "title": "A", "error": "no"}], False, None, "no candidate could be made"),
    ([], False, None, "no candidate could be made"),
    ([row("a", 200, 1e-4, None)], False, "a", "the fastest"),
])
def test_choices(others, accept, name, why):
    chosen, told = choose.choose([ORIGINAL] + others, 1e-3, accept)
    assert (chosen and chosen["name"]) == name and why in told


def test_without_a_server_the_model_alone_counts():
    rows = [row("original"), row("a", model_ms=1.0), row("b", model_ms=2.0)]
    assert choose.choose(rows, 1e-3, False)[0]["name"] == "a"


def test_the_fastest_within_tolerance_is_taken_when_a_wrong_one_is_hardly_faster():
    rows = [ORIGINAL, row("good", 200), row("wrong", 204, 0.5)]
    assert choose.choose(rows, 1e-3, False)[0]["name"] == "good"


def test_the_table():
    rows = [ORIGINAL, row("a", 250, 1e-6), {"name": "b", "title": "B", "error": "is missing"},
            row("c", None, agreement=None, within=False)]
    lines = table.text(rows, rows[1], 2).split("\n")
    assert lines[0].split("  ")[0] == "CANDIDATE" and "2 INSTANCES" in lines[0]
    assert lines[2].endswith("chosen") and "250.0/s" in lines[2] and "100 MiB" in lines[2]
    assert lines[3] == "B          is missing"
    assert "10.0 ms *" in lines[4] and lines[4].endswith("outside the tolerance")
    assert lines[5].startswith("* the model alone")


def test_the_report_shows_what_it_is_given_as_text():
    rows = [ORIGINAL, row("<b>", 250), row("d", 300, within=False),
            {"name": "c", "title": "C", "error": "a & b"}]
    text = report.document("<i>", "It is <good>.", rows, rows[1], 2, {"Processor": "x < y"})
    assert "<i>" not in text and "&lt;i&gt;" in text and "<good>" not in text
    assert "<B>" not in text and "a &amp; b" in text and "x &lt; y" in text
    assert text.count("<small>outside the tolerance</small>") == 1
    assert text.count('class="bar outside"') == 3 and text.count("<svg") == 3 and "http" not in text
    assert report.document("m", "v", rows[:1], None, 2, {}).count("<svg") == 0


@pytest.mark.parametrize("text,result", [
    ("1,3,224,224", ([1, 3, 224, 224], "float32")), ("1,128:int64", ([1, 128], "int64"))])
def test_shapes(text, result):
    assert samples.parse_shape(text) == result


@pytest.mark.parametrize("text", ["", "1,x", "0", "-1,2", "1:float8", ":int64"])
def test_shapes_that_are_none(text):
    with pytest.raises(Failure, match="sizes and"):
        samples.parse_shape(text)


def test_samples_of_a_folder(tmp_path):
    for name in ("b.json", "a.bin", ".hidden"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    files = samples.find(tmp_path)
    assert [f.name for f in files] == ["a.bin", "b.json"]
    assert [samples.media_type(f) for f in files] == ["", "application/json"]
    assert samples.find(tmp_path / "b.json") == [tmp_path / "b.json"]
    with pytest.raises(Failure, match="the folder has no files"):
        samples.find(tmp_path / "folder")


def test_a_recorded_call(tmp_path):
    np.savez(tmp_path / "a.npz", np.float32([1]), np.float32([2]), mask=np.bool_([True]))
    args, named = samples.recorded(tmp_path / "a.npz")
    assert [a.tolist() for a in args] == [[1], [2]] and named["mask"].tolist() == [True]
    inputs = [{"name": n, "datatype": d, "shape": [-1]}
              for n, d in (("x", "FP32"), ("y", "FP32"), ("mask", "BOOL"))]
    call = tensors.of_recorded(args, named, inputs)
    assert {k: v.tolist() for k, v in call.items()} == {"x": [1], "y": [2], "mask": [True]}
    with pytest.raises(ValueError, match="it has no input mask"):
        tensors.of_recorded(args, {}, inputs)
    with pytest.raises(ValueError, match="it has 2 arrays, and the model 1 inputs"):
        tensors.of_recorded(args, {}, inputs[:1])
    for content in (b"", b"PK\x03\x04 broken", b"\x80\x04N."):
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(ValueError, match="not what numpy.savez"):
            samples.recorded(tmp_path / "b.npz")
    np.save(tmp_path / "d.npy", np.float32([1]))
    with pytest.raises(ValueError, match="not what numpy.savez"):
        samples.recorded(tmp_path / "d.npy")
    np.savez(tmp_path / "c.npz", np.array([{}]))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        samples.recorded(tmp_path / "c.npz")


def written(source, made, place):
    with pack.Outputs() as outputs:
        pack.write(source, made, place, outputs)
        assert not place.is_file()
        outputs.publish()


def test_files_appear_together_or_not_at_all(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), pack.Outputs() as outputs:
        for name in ("a", "b"):
            Path(outputs.add(tmp_path / name)).write_text(name)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_an_interrupted_process_tells_is_whole_or_not_there(tmp_path):
    def interrupted():
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        tell(str(tmp_path / "r.json"), interrupted)
    assert list(tmp_path.iterdir()) == []
    tell(str(tmp_path / "r.json"), lambda: 1 / 0, "it failed: ")
    assert json.loads((tmp_path / "r.json").read_text()) == {"error": "it failed: division by zero"}
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_nobody_interrupts_a_moment():
    before = signal.getsignal(signal.SIGTERM)
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_archive_is_whole_or_not_there(tmp_path):
    source, made = tmp_path / "source", tmp_path / "made"
    (source / "MAR-INF").mkdir(parents=True)
    (source / "MAR-INF" / "MANIFEST.json").write_text("{}")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "x.pyc").write_text("x")
    made.mkdir()
    (made / "optimized.json").write_text("{}")
    rows = [ORIGINAL, row("a", 200)]
    pack.add_provenance(made, rows, rows[1], {"made_up": False}, {"instances": 2, "threads": 1})
    written(source, made, tmp_path / "x.mar")
    with zipfile.ZipFile(tmp_path / "x.mar") as archive:
        assert sorted(archive.namelist()) == ["MAR-INF/MANIFEST.json", "optimized/optimized.json"]
        facts = json.loads(archive.read("optimized/optimized.json"))
    assert facts["chosen"] == "a" and facts["figures"]["original"]["throughput"] == 100
    assert facts["serving"] == {"instances": 2, "threads": 1}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.mar").mkdir()       # a folder is in the way
    with pytest.raises(Failure, match="x.mar cannot be written: Is a directory"):
        written(source, made, tmp_path / "full" / "x.mar")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["x.mar"]
    with pytest.raises(Failure, match="--output is the original itself"):
        pack.check_place("x.mar", tmp_path / "x.mar", tmp_path / "x.mar")


def test_what_need_not_be_tried():
    with pytest.raises(Unsuitable, match="it is not for cuda"):
        candidates.suitable(candidates.by_name("openvino"), "cuda", [])
    with pytest.raises(Unsuitable, match="only with --allow int8"):
        candidates.suitable(candidates.by_name("onnx-int8"), "cpu", ["bf16"])
    missing = candidates.by_name("onnx")._replace(needs=(("no_such", "such"), ("nor_that", "that")))
    with pytest.raises(Unsuitable, match="are not installed: python -m pip install such that"):
        candidates.suitable(missing, "cpu", [])


def test_progress_without_a_terminal_is_lines():
    out = io.StringIO()
    progress = Progress(out)
    progress.expect(2)
    progress.step("one")
    progress.say("warning: two")
    progress.end()
    assert out.getvalue() == "one\nwarning: two\n"


def test_progress_on_a_terminal_is_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True
    out = Terminal()
    progress = Progress(out)
    progress.expect(2)
    for what in ("one", "two", "three"):
        progress.step(what)
    progress.end()
    shown = out.getvalue().split("\r\033[K")
    assert "  0 %  one" in shown[1] and " 50 %  two" in shown[2] and "100 %  three" in shown[3]
    assert shown[-1] == ""


def test_errors_are_one_line():
    assert sentence(ValueError("\n  first\nsecond")) == "first"
    assert sentence(ValueError()) == "ValueError"
    assert len(sentence(ValueError("x" * 1000))) == 300


def test_files_from_before_zip_are_packed(tmp_path):
    for name in ("source", "made"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
        os.utime(tmp_path / name / name, (1, 1))
    written(tmp_path / "source", tmp_path / "made", tmp_path / "new.mar")
    with zipfile.ZipFile(tmp_path / "new.mar") as archive:
        assert sorted(archive.namelist()) == ["optimized/made", "source"]


def test_an_archive_that_cannot_be_written_is_a_sentence(tmp_path):
    with pytest.raises(Failure, match="cannot be written: No such file or directory"):
        written(tmp_path, tmp_path, tmp_path / "gone" / "new.mar")


@pytest.mark.parametrize("error", [ConnectionRefusedError("refused"), TimeoutError("late"),
                                   http.client.BadStatusLine("")])
def test_a_server_that_is_lost_costs_its_candidate_only(error):
    class Lost:
        stopped = False

        def scale(self, workers):
            raise error

        def stop(self):
            self.stopped = True
    bench, server = measure.Bench("net", "body", "", 1, 1), Lost()
    bench.servers["onnx"], bench.figures["onnx"] = server, measure.Figures()
    bench.round("onnx")
    assert bench.errors["onnx"].startswith("its server or worker was lost: ")
    assert not bench.servers and server.stopped


def test_the_number_of_instances_that_answers_most():
    class Fake:
        def scale(self, workers):
            self.workers = workers

        def bench(self, body, media_type, clients, seconds):
            assert clients == 2 * self.workers
            return {"rate": {1: 10, 2: 30, 4: 25, 6: 28}[self.workers]}

        def threads(self, workers):
            return 8 // workers
    bench = measure.Bench("net", "body", "", 6, 1)
    bench.servers["onnx"] = Fake()
    found = bench.sweep("onnx")
    assert (found["instances"], found["threads"]) == (2, 4)
    assert [m["instances"] for m in found["measured"]] == [1, 2, 4, 6]


IMAGE = [{"name": "image", "datatype": "FP32", "shape": [-1, 2]}]
PAIR = [{"name": "a", "datatype": "INT64", "shape": [-1]},
        {"name": "b", "datatype": "FP32", "shape": [-1, 1]}]


@pytest.mark.parametrize("content,inputs,result", [
    (b"[[1, 2]]", IMAGE, {"image": [[1, 2]]}),
    (b"[1, 2]", IMAGE, {"image": [[1, 2]]}),
    (b'{"image": [[1, 2]]}', IMAGE, {"image": [[1, 2]]}),
    (b'{"instances": [[1, 2], [3, 4]]}', IMAGE, {"image": [[1, 2], [3, 4]]}),
    (b'{"inputs": [[1, 2]]}', IMAGE, {"image": [[1, 2]]}),
    (b'{"inputs": [{"name": "image", "shape": [1, 2], "data": [1, 2]}]}', IMAGE,
     {"image": [[1, 2]]}),
    (b"\0\0\x80\x3f\0\0\0\x40", IMAGE, {"image": [[1, 2]]}),
    (b'{"a": [1], "b": [[2]]}', PAIR, {"a": [1], "b": [[2]]}),
    (b'{"instances": [{"a": 1, "b": [2]}, {"a": 3, "b": [4]}]}', PAIR,
     {"a": [1, 3], "b": [[2], [4]]}),
])
def test_requests_of_engines_as_tensors(content, inputs, result):
    found = tensors.read(content, False, inputs)
    assert {k: v.tolist() for k, v in found.items()} == result
    again, suffix = tensors.write(found, inputs)
    assert {k: v.tolist() for k, v in tensors.read(again, suffix == ".json", inputs).items()} \
        == result


@pytest.mark.parametrize("content,why", [
    (b"[[1, 2, 3]]", "image has the shape"), (b'{"other": 1}', "it has no input image"),
    (b"[[1], [1, 2]]", "inhomogeneous"), (b"[[", "Expecting value"), (b"\0", "buffer size"),
    (b"", "it is empty")])
def test_what_is_no_request_of_an_engine(content, why):
    with pytest.raises(ValueError, match=why):
        tensors.read(content, False, IMAGE)


def test_candidates_that_clients_would_notice():
    wanted = {"inputs": IMAGE, "outputs": [{"name": "y", "datatype": "FP32"}]}

    def found(**change):
        return {"inputs": [{**IMAGE[0], **change}], "outputs": wanted["outputs"]}
    tensors.check_same(found(), wanted)
    for change, why in (({"name": "x"}, "its inputs would be x"),
                        ({"datatype": "INT64"}, "image would be INT64"),
                        ({"shape": [1, 2]}, r"only have the shape \[1, 2\]"),
                        ({"shape": [-1]}, "only have the shape")):
        with pytest.raises(Unsuitable, match=why):
            tensors.check_same(found(**change), wanted)


def test_calls_of_several_examples():
    one, two = ({"a": np.full((1, 2), i)} for i in (1, 2))
    assert [c["a"].tolist() for c in tensors.stacks([one, two])] == [
        [[1, 1], [2, 2]], [[1, 1], [2, 2], [1, 1]]]
    assert list(tensors.stacks([one, {"a": np.zeros((1, 3))}])) == []


def test_bare_models_with_what_is_beside_them(tmp_path):
    for name in ("net.xml", "net.bin", "other.bin", "net.xml.yaml"):
        (tmp_path / name).write_text(name)
    bare.gather(tmp_path / "net.xml", tmp_path / "made", "net")
    files = sorted(p.name for p in (tmp_path / "made").rglob("*") if p.is_file())
    assert files == ["MANIFEST.json", "model-config.yaml", "net.bin", "net.xml"]
    manifest = json.loads((tmp_path / "made" / "MAR-INF" / "MANIFEST.json").read_text())
    assert manifest["runtime"] == "native" and manifest["model"]["serializedFile"] == "net.xml"
    (tmp_path / "tf").mkdir()
    (tmp_path / "tf" / "saved_model.pb").write_text("x")
    bare.gather(tmp_path / "tf", tmp_path / "folder", "tf")
    manifest = json.loads((tmp_path / "folder" / "MAR-INF" / "MANIFEST.json").read_text())
    assert manifest["model"] == {"modelName": "tf", "modelVersion": "1.0",
                                 "serializedFile": "saved_model.pb"}
