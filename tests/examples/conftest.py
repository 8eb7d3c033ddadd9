# SPDX-License-Identifier: Apache-2.0
"""All examples but the image's behind one server, made from copies of their folders."""

import shutil
import subprocess

import pytest

pytest.register_assert_rewrite("e2e.server")

from e2e.conftest import server_factory         # noqa: E402
from e2e.server import BIN, REPOSITORY          # noqa: E402

PYTHON = REPOSITORY / ".venv-examples" / "bin" / "python"
# folder: the model's name, and what is packed beside the handler
MODELS = {
    "tabular": ("wine", "made"),
    "embeddings": ("minilm", "made"),
    "voice": ("voice", "made"),
    "streaming": ("writer", "made"),
    "batching": ("digits", "made"),
    "metrics": ("mood", "weights.json"),
}


def run(command, folder):
    done = subprocess.run([str(word) for word in command], cwd=folder, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300)
    assert done.returncode == 0, f"{command}:\n{done.stdout}"


def pack(folder, name, beside, store):
    run([BIN / "torch-model-archiver", "--model-name", name, "--version", "1.0", "--handler",
         "handler.py", "--config-file", "model-config.yaml", "--extra-files", beside,
         "--export-path", store], folder)


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """A copy of the folder, in which the models have been made."""
    assert PYTHON.exists(), "the examples' environment is missing: tools/setup.sh examples"
    copy = tmp_path_factory.mktemp("examples") / "examples"
    shutil.copytree(REPOSITORY / "examples", copy,
                    ignore=shutil.ignore_patterns("made", "models", "logs"))
    for script in (copy / folder / "make_model.py" for folder in MODELS):
        if script.exists():
            run([PYTHON, script], script.parent)
    return copy


@pytest.fixture(scope="session")
def server(examples, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    for folder, (name, beside) in MODELS.items():
        pack(examples / folder, name, beside, store)
    with server_factory(lambda: tmp_path_factory.mktemp("server")) as start:
        yield start(store=store, python=PYTHON,
                    metrics_config=examples / "metrics" / "metrics.yaml")


@pytest.fixture(scope="session")
def topics(server, examples):
    """topics(name, url): the model of two-models, asking for embeddings there."""
    def register(name, url):
        folder = examples / "two-models"
        config = folder / "model-config.yaml"
        text = config.read_text()
        config.write_text(text.replace("http://127.0.0.1:8080/predictions/minilm", url))
        pack(folder, name, "topics.json", server.store)
        config.write_text(text)
        answer = server.register(f"{name}.mar", initial_workers=1, synchronous="true")
        assert answer.status_code == 200, answer.text
    return register
