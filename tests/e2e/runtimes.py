# SPDX-License-Identifier: Apache-2.0
"""The Python that has runtimes of engines: where their packages are, and what they answer."""

import json
import subprocess
from pathlib import Path

PACKAGES = ("magika", "silero_vad", "onnxruntime", "openvino")
FIND = f"""
import importlib.util, json
print(json.dumps({{n: importlib.util.find_spec(n).submodule_search_locations[0]
                  for n in {PACKAGES}}}))
"""


def folders_of_packages(python):
    out = subprocess.run([python, "-c", FIND], check=True, capture_output=True, text=True).stdout
    return {name: Path(folder) for name, folder in json.loads(out).items()}


def run_model(python, script, model, **inputs):
    """What a runtime answers in Python. `script` reads {"model", "inputs": {name: [type, values]}}
    and prints outputs by name."""
    ask = json.dumps({"model": str(model), "inputs": inputs})
    return json.loads(subprocess.run([python, "-c", script], input=ask, check=True, text=True,
                                     capture_output=True).stdout)
