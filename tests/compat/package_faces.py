# SPDX-License-Identifier: Apache-2.0
"""The public names that modules of `ts` and `model_archiver` define, with the members of classes,
as a document on standard output. A module that cannot be imported here is null.

    python package_faces.py MODULE …
"""

import contextlib
import importlib
import inspect
import io
import json
import sys
import warnings


LAZY = ("MetricsCachePyYamlError", "IPEX_AVAILABLE", "ONNX_AVAILABLE", "XLA_AVAILABLE",
        "ProfilerActivity", "profile", "record_function")


def members(value):
    return sorted(name for name in dir(value) if not name.startswith("_"))


def lazy(module):
    """What a module makes when it is asked for it."""
    return [(name, getattr(module, name)) for name in LAZY if hasattr(module, name)]


def face(name):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            module = importlib.import_module(name)
    except Exception:
        return None
    found = {}
    for key, value in [*inspect.getmembers(module), *lazy(module)]:
        own = (getattr(value, "__module__", None) or "").split(".")[0] in ("ts", "model_archiver")
        if not key.startswith("_") and own:
            found[key] = members(value) if inspect.isclass(value) else []
        elif key.endswith("_AVAILABLE") or key in LAZY:
            found[key] = []
    return found


warnings.simplefilter("ignore")
print(json.dumps({name: face(name) for name in sys.argv[1:]}))
