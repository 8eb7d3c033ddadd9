# SPDX-License-Identifier: Apache-2.0
"""Runs an engine in a process of its own, through tests/engines/engine_run.c."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SCONCE_ENGINES_BUILD", REPOSITORY / "build"))
HARNESS = BUILD / "tests" / "engines" / "engine_run"
PATIENCE = 300


class EngineError(Exception):
    """What the engine said, and while it did what (`open`, `load` …)."""

    def __init__(self, report):
        super().__init__(report["error"])
        self.stage, self.log = report["stage"], report["log"]


class RunError(Exception):
    """A run that failed; `bad_input` says whose fault it is."""

    def __init__(self, run):
        super().__init__(run["error"])
        self.bad_input = run["bad_input"]


class Result:
    """The report of engine_run, and its outputs as arrays: one list for each group of inputs."""

    def __init__(self, report, folder):
        self.report = report
        self.info, self.log = report["info"], report["log"]
        self.signature = report.get("signature")
        self.runs = report.get("runs", [])
        self.folder = folder

    def outputs(self, group=0):
        run = self.runs[group]
        if "error" in run:
            raise RunError(run)
        assert run["same"], "runs with the same inputs have different outputs"
        return [self.array(output) for output in run["outputs"]]

    def array(self, output):
        path = self.folder / output["file"]
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        if output["dtype"] == "BYTES":
            elements = bytes_elements(path.read_bytes())
            return np.array([*elements, None], object)[:-1].reshape(output["shape"])
        assert output["dtype"] == "BF16"
        halves = np.fromfile(path, "<u2").astype("<u4") << 16
        return halves.view("<f4").reshape(output["shape"])


def bytes_of(array):
    """An array of bytes or str as a tensor of BYTES."""
    parts = [e.encode() if isinstance(e, str) else bytes(e) for e in np.ravel(array)]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def bytes_elements(data):
    elements = []
    while data:
        size, = struct.unpack_from("<I", data)
        assert 4 + size <= len(data)
        elements.append(data[4:4 + size])
        data = data[4 + size:]
    return elements


class Raw:
    """An input of which the bytes are given, whatever they are."""

    def __init__(self, dtype, shape, data):
        self.dtype, self.shape, self.data = dtype, shape, bytes(data)


def argument(value, path):
    """Writes an input to a file; what engine_run is told of it."""
    if not isinstance(value, Raw):
        value = np.asarray(value, order="C")
        if value.dtype.kind not in "OSU":
            np.save(path, value)
            return f"{path}.npy"
        value = Raw("BYTES", value.shape, bytes_of(value))
    path.write_bytes(value.data)
    return f"{value.dtype}:{'x'.join(map(str, value.shape))}:{path}"


class Engine:
    """A plug-in of the build, and the folder where its inputs and outputs are."""

    # Does its runtime write to standard error? Nobody may write to standard output.
    chatty = False

    def __init__(self, name, folder, **options):
        self.plugin = BUILD / "engines" / f"{name}.so"
        self.folder = Path(folder)
        self.options = options
        self.calls = 0

    def command(self, model, groups, folder, options):
        command = [HARNESS, "--out", folder]
        options = {**self.options, **options}
        if options.get("cache"):
            Path(options["cache"]).mkdir(parents=True, exist_ok=True)   # as a host does
        for key, value in options.items():
            flag = "--" + key.replace("_", "-")
            if isinstance(value, dict):
                value = json.dumps(value)
            command += [flag] if value is True else [] if value is None else [flag, value]
        command += [self.plugin]
        if model is None:
            return command
        command.append(model)
        for number, inputs in enumerate(groups):
            command += ["--"] if number else []
            command += [argument(value, folder / f"in-{number}-{i}")
                        for i, value in enumerate(inputs)] or [""]
        return command

    def call(self, model=None, *groups, environment=None, **options):
        """Loads the model and runs each group of inputs; what engine_run reports."""
        self.calls += 1
        folder = self.folder / f"call-{self.calls}"
        folder.mkdir()
        command = self.command(model, groups, folder, options)
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, timeout=PATIENCE,
                              capture_output=True, check=False,
                              env={**os.environ, **(environment or {})})
        # Names are what is in the file; texts of errors are UTF-8.
        stdout, stderr = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        assert done.returncode in (0, 1), \
            f"{command} ended with {done.returncode}: {stdout}{stderr}"
        assert self.chatty or not stderr, stderr
        report = json.loads(stdout)
        if "error" in report:
            assert report["error"].strip() and not {"\n", "\ufffd"} & {*report["error"]}, report
            raise EngineError(report)
        return Result(report, folder)

    def run(self, model, *inputs, **options):
        """The outputs for one group of inputs."""
        return self.call(model, inputs, **options).outputs()


def this_python():
    return sys.executable
