# SPDX-License-Identifier: Apache-2.0
"""What an archive brings beside its original model: the folder `optimized`, made by
`sconce optimize`, with an artefact of an engine and `optimized.json`, which says what it is.

It is used only where it is as good as it was when it was made: the runtime is there, the processor
has what the artefact was compiled for, and a sample gives the outputs of the original. Otherwise
the original is used, and the log says why.
"""

import json
import logging
import os

import torch

from sconce import trial
from sconce.compiled import tree
from sconce.compiled.difference import difference
from sconce.compiled.model import CompiledModel
from sconce.compiled.processor import cpu_features
from sconce.compiled.runtimes import RUNTIMES, Unavailable

FOLDER = "optimized"
FORMAT = 1
MARGIN = 2      # of the tolerance: another processor rounds otherwise

logger = logging.getLogger(__name__)


def _read(folder):
    with open(os.path.join(folder, "optimized.json")) as f:
        facts = json.load(f)
    if facts.get("format") != FORMAT:
        raise Unavailable("it was made by another version of sconce")
    if facts.get("runtime") not in RUNTIMES:
        raise Unavailable("there is no runtime %s" % facts.get("runtime"))
    return facts


def _check_machine(facts, device):
    runtime = RUNTIMES[facts["runtime"]]
    if runtime.version() is None:
        raise Unavailable("%s is not installed: python -m pip install %s"
                          % (runtime.name, runtime.package))
    if facts["device"] != device.type:
        raise Unavailable("it was made for %s, and this worker has %s" % (facts["device"], device))
    lacking = sorted(set(facts.get("cpu_features", ())) - cpu_features())
    if lacking:
        raise Unavailable("this processor lacks %s" % ", ".join(lacking[:4]))


def load(folder, facts, device, original=None):
    """The model of an artefact. `facts`: of optimized.json."""
    runtime = RUNTIMES[facts["runtime"]]
    path = os.path.join(folder, facts["artifact"])
    return CompiledModel(
        runtime.name, lambda threads: runtime.load(path, facts.get("options", {}), threads, device),
        torch.get_num_threads(), device, facts, original)


def _probe(model, folder, facts, device):
    """Runs the sample that came with the artefact. TorchScript compiles while it is first run."""
    sample = torch.load(os.path.join(folder, "probe.pt"), weights_only=True)
    with torch.no_grad():
        for _ in range(3):
            args, kwargs = tree.build(
                facts["inputs"], [t.to(device, copy=True) for t in sample["inputs"]])
            found, _ = tree.flatten(model(*args, **kwargs))
    worst = max(map(difference, found, sample["outputs"]), default=0.0)
    limit = MARGIN * max(facts["tolerance"], facts["difference"])
    if len(found) != len(sample["outputs"]) or worst > limit:
        raise Unavailable("its outputs differ here by %.2g of their range, more than %.2g"
                          % (worst, limit))


def _try(folder, device, original):
    facts = _read(folder)
    _check_machine(facts, device)
    model = load(folder, facts, device, original)
    _probe(model, folder, facts, device)
    return facts, model


def find(model_dir, device, config, original):
    """The compiled model that the archive brings, if this machine can run it, or None.

    `config`: of model-config.yaml; `original()` loads the original."""
    folder = os.path.join(model_dir, FOLDER)
    if config.get("optimized") is False:
        logger.info("The original model is used: model-config.yaml says optimized: false")
        return None
    try:
        if trial.lost:
            raise Unavailable(trial.lost)
        facts, model = trial.attempt(lambda: _try(folder, device, original))
    except Exception as e:      # whatever is wrong with it: the original is there
        logger.warning("The optimized model is not used, the original is: %s",
                       str(e).strip().split("\n")[0] or type(e).__name__)
        return None
    logger.info("The optimized model is used: %s %s, %s", RUNTIMES[facts["runtime"]].name,
                RUNTIMES[facts["runtime"]].version(), facts["precision"])
    return model
