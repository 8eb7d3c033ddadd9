# SPDX-License-Identifier: Apache-2.0
import os

import pytest

# It is for this process, whose interpreter has the runtimes but not pytest.
os.environ.pop("PYTHONPATH", None)
pytest.register_assert_rewrite("engines.engine")

from engines.engine import Engine       # noqa: E402


@pytest.fixture
def echo(tmp_path):
    return Engine("echo", tmp_path)
