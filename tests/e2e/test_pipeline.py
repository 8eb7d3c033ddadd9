# SPDX-License-Identifier: Apache-2.0
"""Steps before and behind a model, of an archive without a handler: served, shown and run."""

import json
import subprocess

import pytest

from e2e.server import BIN, REPOSITORY

STEPS = """
minWorkers: 1
maxWorkers: 1
pipeline:
  - from_json
  - batch
  - infer
  - softmax
  - topk: 2
  - labels: names.json
  - encode_json: {form: records}
"""
JSON = {"Content-Type": "application/json"}
ANSWER = [{"class": 1, "label": "cat", "score": pytest.approx(0.6652409, abs=1e-6)},
          {"class": 2, "label": "dog", "score": pytest.approx(0.2447285, abs=1e-6)}]


def make(folder, config=STEPS, names='{"0": "ant", "1": "cat", "2": "dog"}'):
    """A model folder of the echo engine."""
    (folder / "MAR-INF").mkdir(parents=True)
    (folder / "m.echo").write_text("")
    (folder / "names.json").write_text(names)
    (folder / "c.yaml").write_text(config)
    model = {"modelName": folder.name, "serializedFile": "m.echo", "configFile": "c.yaml"}
    (folder / "MAR-INF/MANIFEST.json").write_text(json.dumps({"runtime": "native", "model": model}))
    return folder


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make(store / "steps")
    make(store / "typo", STEPS.replace("softmax", "sofmax"))
    make(store / "unnamed", names="[]")
    make(store / "batched", STEPS + "batchSize: 4\nmaxBatchDelay: 50\n")
    return module_serve(store=store, load_models="steps,batched")


def pipeline(*arguments):
    return subprocess.run([BIN / "sconce", "pipeline", *arguments], capture_output=True, text=True,
                          check=False, timeout=60)


def test_it_is_served(server):
    answer = server.predict("steps", "[1, 3, 2]", headers=JSON)
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert answer.headers["Content-Type"] == "application/json"
    refused = server.predict("steps", "[[1], 2]", headers=JSON)
    assert refused.status_code == 400
    assert refused.json()["message"] == "step 1, from_json: the lists differ in length or depth"


def test_parts_of_a_form(server):
    assert server.predict("steps", None, files={
        "data": ("x.json", b"[1, 3, 2]", "application/json")}).json() == ANSWER


def test_what_is_wrong_is_told_at_registration(server):
    for model, why in (("typo", 'pipeline: step 4: there is no op "sofmax": did you mean softmax?'),
                       ("unnamed", "step 6, labels: names.json: it must be an object with a name")):
        answer = server.register(model, initial_workers=1, synchronous="true")
        assert answer.status_code >= 400 and why in answer.text.replace('\\"', '"'), answer.text


def test_it_is_shown(server, tmp_path):
    shown = pipeline("show", make(tmp_path / "m"))
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert [line.split()[2] for line in lines if line.split()[0].isdigit()] == [
        "from_json", "batch", "infer", "softmax", "topk", "labels", "encode_json"]
    wrong = pipeline("show", make(tmp_path / "wrong", "pipeline: [infer, encode_json]\n"))
    assert wrong.returncode == 1
    assert "pipeline: step 1, infer: it takes tensor, but is the first step" in wrong.stderr


def test_it_is_run_on_files(tmp_path):
    archive = make(tmp_path / "m")
    (tmp_path / "a.json").write_text("[1, 3, 2]")
    (tmp_path / "b.json").write_text("[1, [3]]")
    ran = pipeline("run", archive, tmp_path / "a.json", tmp_path / "a.json")
    assert ran.returncode == 0, ran.stderr
    assert [json.loads(line) for line in ran.stdout.splitlines()] == [ANSWER, ANSWER]
    failed = pipeline("run", archive, tmp_path / "b.json", tmp_path / "a.json")
    assert failed.returncode == 1
    assert "b.json: step 1, from_json: the lists hold something other than numbers" in failed.stderr
    assert json.loads(failed.stdout) == ANSWER


def test_the_table_of_the_document_is_that_of_the_program():
    table = subprocess.run([BIN / "sconce-worker", "--ops"], capture_output=True, text=True,
                           check=True).stdout
    page = (REPOSITORY / "docs/pipelines.md").read_text()
    assert page.partition("<!-- ops -->\n")[2].partition("<!-- /ops -->")[0] == table


def test_what_has_none(tmp_path):
    folder = make(tmp_path / "m", "minWorkers: 1\n")
    failed = pipeline("show", folder)
    assert failed.returncode == 1 and "the archive has no pipeline" in failed.stderr
    assert pipeline("run", folder).returncode == 2
    assert pipeline("show", tmp_path / "nothing").returncode == 1
