# SPDX-License-Identifier: Apache-2.0
import importlib.util
import os

import pytest

# It is for this process, whose interpreter has the runtimes but not pytest.
os.environ.pop("PYTHONPATH", None)
# Torch is in another environment than the other runtimes.
collect_ignore = [] if importlib.util.find_spec("torch") else ["test_torch.py",
                                                               "test_torch_layout.py"]
pytest.register_assert_rewrite("engines.engine")

from engines.engine import Engine, this_python       # noqa: E402


@pytest.fixture
def echo(tmp_path):
    return Engine("echo", tmp_path)


@pytest.fixture
def onnx(tmp_path):
    return Engine("onnx", tmp_path, python=this_python())


@pytest.fixture
def openvino(tmp_path, monkeypatch):
    # It reads a folder as a file first, of the greatest size there is, and catches what comes.
    options = os.environ.get("ASAN_OPTIONS")
    if options:
        monkeypatch.setenv("ASAN_OPTIONS", f"{options}:allocator_may_return_null=1")
    # Its threads let go of what they have shared some time after the last model is gone.
    (tmp_path / "leaks").write_text("leak:libtbb\n")
    monkeypatch.setenv("LSAN_OPTIONS", f"print_suppressions=0:suppressions={tmp_path}/leaks")
    return Engine("openvino", tmp_path, python=this_python())
