#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests, and closes with one line: N passed, M failed.

Where there are processors for it, two steps run at a time: most of a step is waiting. A step that
passes says so in a line; a step that fails shows all that its programs printed.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import traceback
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".cache" / "tests"
MINUTES = 20    # no program of a step may take longer
LANES = 2 if len(os.sched_getaffinity(0)) > 1 else 1
SIM_SEEDS = 32

# Sanitizers make gcc see what is not there, so only the plain build has warnings as errors.
BUILDS = {
    "build": ["-Dtests=enabled", "-Dwerror=true"],
    "build-asan": ["-Dtests=enabled", "-Db_sanitize=address,undefined", "-Db_lundef=false"],
    "build-tsan": ["-Dtests=enabled", "-Db_sanitize=thread", "-Db_lundef=false"],
}
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}


class Counts:
    """What came of some tests, and what there is to read of those that failed."""

    def __init__(self, passed=0, failed=0, skipped=0, report=""):
        self.passed, self.failed, self.skipped = passed, failed, skipped
        self.report = report

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


class Output:
    """A command that has ended: its exit code and everything it printed."""

    def __init__(self, command, env=None):
        child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(env or {})},
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output, _ = child.communicate(timeout=60 * MINUTES)
            self.code = child.returncode
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            output, _ = child.communicate()
            output += f"\nstopped after {MINUTES} minutes\n".encode()
            self.code = 1
        self.text = output.decode("utf-8", "replace")
        if self.code < 0:
            self.text += f"\nended by signal {-self.code}\n"


def one(command, env=None):
    """A program that is one test."""
    done = Output(command, env)
    return Counts(passed=1) if done.code == 0 else Counts(failed=1, report=done.text)


# ---- meson ----

BUILDING = {folder: threading.Lock() for folder in BUILDS}


def build(folder, *targets):
    """Builds a folder with its options. Counts of one failed test, or None when all is well."""
    with BUILDING[folder]:
        return build_alone(folder, targets)


def build_alone(folder, targets):
    setup = [] if (ROOT / folder / "build.ninja").exists() else ["meson", "setup", folder]
    setup += BUILDS[folder] if setup else []
    if not setup and not keeps_options(folder):
        setup = ["meson", "configure", folder, *BUILDS[folder]]
    for command in (setup, ["ninja", "-C", folder, *targets]):
        done = Output(command) if command else None
        if done and done.code:
            return Counts(failed=1, report=done.text)
    return None


def keeps_options(folder):
    done = Output(["meson", "introspect", folder, "--buildoptions"])
    have = {o["name"]: o["value"] for o in json.loads(done.text)} if done.code == 0 else {}
    wanted = dict(option[2:].split("=", 1) for option in BUILDS[folder])
    return all(str(have.get(name)).lower() == value for name, value in wanted.items()
               if not name.startswith("b_"))


def cases_of(output):
    """Cmocka says how many cases a program has; any other program is one."""
    passed = re.findall(r"^\[  PASSED  \] (\d+) test\(s\)", output, re.M)
    failed = re.findall(r"^\[  FAILED  \] (\d+) test\(s\)", output, re.M)
    skipped = re.findall(r"^\[  SKIPPED \] (\d+) test\(s\)", output, re.M)
    return tuple(sum(map(int, counts)) for counts in (passed, failed, skipped))


def meson_test(folder, *arguments, targets=()):
    broken = build(folder, *targets)
    if broken:
        return broken
    log = ROOT / folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    done = Output(["meson", "test", "-C", folder, "--no-rebuild", *arguments], SANITIZER_ENV)
    counts = Counts(report=done.text)
    for line in log.read_text().splitlines() if log.exists() else ():
        counts.add(meson_case(json.loads(line), counts))
    if done.code and not counts.failed or not counts.passed:
        counts.failed += 1
    return counts


def meson_case(case, counts):
    """One program of `meson test`."""
    if case["result"] in ("SKIP", "EXPECTEDFAIL"):
        return Counts(skipped=1)
    output = case.get("stdout", "") + case.get("stderr", "")
    passed, failed, skipped = cases_of(output)
    if case["result"] == "OK":
        return Counts(max(passed, 1), 0, skipped)
    counts.report += f"\n---- {case['name']}: {case['result']}\n{output}"
    return Counts(passed, max(failed, 1), skipped)


# ---- pytest ----

def pytest(name, *arguments, env=None, python=sys.executable):
    report = RESULTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    done = Output([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs",
                   "--durations=5", f"--junitxml={report}", *arguments],
                  {"PYTHONDONTWRITEBYTECODE": "1", **SANITIZER_ENV, **(env or {})})
    counts = Counts(report=done.text)
    if report.exists():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            kinds = {child.tag for child in case}
            failed = bool(kinds & {"failure", "error"})
            skipped = not failed and "skipped" in kinds
            counts.add(Counts(not failed and not skipped, failed, skipped))
    if done.code and not counts.failed or not counts.passed:
        counts.failed += 1
    return counts


def e2e(name, folder):
    environment = {"SCONCE_BIN_DIR": str(ROOT / folder / "bin")}
    if folder != "build":
        environment["SCONCE_E2E_STALL_MS"] = "500"
    return build(folder) or pytest(name, "tests/e2e", "-m", "not torch and not engines",
                                   env=environment)


def beside_ours():
    """For another Python, which has runtimes: our packages, and those that tests need."""
    packages = os.pathsep.join([sysconfig.get_path("purelib"), str(ROOT / "python")])
    return {"SCONCE_BIN_DIR": str(ROOT / "build" / "bin"), "PYTHONPATH": packages}


def torch():
    """The tests that need torch, in the demonstration's Python with the packages of this one."""
    environment = beside_ours()
    python = ".venv-demo/bin/python"
    counts = build("build") or pytest("torch", "-m", "torch", "tests/e2e", env=environment,
                                      python=python)
    units = pytest("torch-units", "-m", "torch", "tests/unit_python", env=environment,
                   python=python)
    engine = build("build", "engine-tests") or pytest(
        "torch-engine", "tests/engines/test_torch.py", "tests/engines/test_torch_layout.py",
        env={"PYTHONPATH": environment["PYTHONPATH"]}, python=python)
    for more in (units, engine):
        counts.add(more)
        counts.report += more.report if more.failed else ""
    return counts


def image(name, folder):
    """Pictures beside Pillow and torchvision, which are in the demonstration's Python."""
    library = ROOT / folder / "src" / "image" / "libsconce-image.so"
    environment = {**beside_ours(), "SCONCE_IMAGE_BUILD": str(ROOT / folder),
                   "SCONCE_IMAGE_LIBRARY": str(library)}
    return build(folder, "image-tests") or pytest(name, "tests/image", env=environment,
                                                  python=".venv-demo/bin/python")


NEON = ["image", "kernels_16", "kernels_neon", "kernels_plain", "kernels_split", "simd_arm",
        "test_kernels", "weights"]


def neon():
    """Kernels for ARM on another processor: their unit test, in an emulator. On ARM it is one of
    the others."""
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if not compiler or not emulator:
        return Counts(skipped=1)
    program = str(RESULTS / "neon")
    compiled = one([compiler, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O2", "-D_GNU_SOURCE",
                    "-ffp-contract=off", "-static", "-Isrc", "-o", program,
                    *(f"src/image/{name}.c" for name in NEON), "-lm", "-lpthread"])
    return compiled if compiled.failed else one([emulator, program])


def engine_units(name, folder):
    """Plug-ins, each in a process of its own, beside their runtimes in Python."""
    environment = {"SCONCE_ENGINES_BUILD": str(ROOT / folder),
                   "PYTHONPATH": sysconfig.get_path("purelib")}
    return build(folder, "engine-tests") or pytest(
        name, "tests/engines", env=environment, python=".venv-engines/bin/python")


def engines():
    """Models that runtimes from packages run, without a server and behind it."""
    environment = {"SCONCE_BIN_DIR": str(ROOT / "build" / "bin"),
                   "SCONCE_E2E_ENGINES_PYTHON": str(ROOT / ".venv-engines/bin/python")}
    counts = build("build") or engine_units("engine-units", "build")
    served = pytest("engines", "-m", "engines", "tests/e2e", env=environment)
    counts.add(served)
    counts.report += served.report if served.failed else ""
    return counts


def optimize():
    """Models compiled for every runtime that is there, by a Python that has them all."""
    return build("build") or pytest("optimize", "tests/optimize", env=beside_ours(),
                                    python=".venv-optimize/bin/python")


def compat():
    """Beside TorchServe, where it is installed; the tests of the document run everywhere."""
    environment = {"SCONCE_BIN_DIR": str(ROOT / "build" / "bin")}
    counts = build("build") or pytest("compat", "tests/compat", env=environment)
    for reason in sorted(set(re.findall(r"^SKIPPED .*?: (.*)", counts.report, re.M))):
        print(f"compat:    skipped: {reason}")
    return counts


def pages(name):
    """Every command in documents. Their photograph and its model come from packages first."""
    environment = {"SCONCE_BIN_DIR": str(ROOT / "build" / "bin")}
    assets = [".venv-demo/bin/python", "examples/image/make_model.py", ".cache/demo"]
    made = Output(assets)
    if made.code:
        return Counts(failed=1, report=made.text)
    return build("build") or pytest(name, f"tests/{name}", env=environment)


def deploy():
    """What is under deploy/, run as far as one machine can run it."""
    return build("build") or pytest("deploy", "tests/deploy",
                                    env={"SCONCE_BIN_DIR": str(ROOT / "build" / "bin")})


def sim():
    """The front in a simulator: the same seeds every time, each in a process of its own, so that
    what fails fails again. `make sim` looks for those that nobody has seen."""
    program = str(ROOT / "build-asan" / "tests" / "sim" / "sim")
    broken = build("build-asan", "tests/sim/sim")
    if broken:
        return broken
    counts = Counts()
    for seed in range(1, SIM_SEEDS + 1):
        run = one([program, "--seed", str(seed)], SANITIZER_ENV)
        counts.add(run)
        counts.report += run.report
    return counts


# ---- the steps, in order ----

def tidy():
    return one([sys.executable, "tools/tidy.py"])


def lint():
    return one([sys.executable, "-m", "ruff", "check", "--no-cache", "--quiet", "--isolated",
                "--target-version=py39", "--select=E9,F,B,PLE", "--ignore=B008", "."])


def tsan_log():
    """The writer of the logs and the exporter of spans share memory with another thread."""
    nouns = sorted(path.stem[len("test_"):] for path in (ROOT / "src/log").glob("test_*.c"))
    return meson_test("build-tsan", "--timeout-multiplier=4", *(f"log/{noun}" for noun in nouns),
                      "trace/exporter", targets=["src/trace/test_trace_exporter",
                                                 *(f"src/log/test_log_{noun}" for noun in nouns)])


def tsan_worker():
    """The instances of a native worker are threads."""
    broken = build("build")
    if broken:
        return broken
    engines = sorted(path.name for path in (ROOT / "build/tests/engines").glob("*.[sm]o*")
                     if path.is_file())
    targets = ["bin/sconce", "bin/sconce-worker", "bin/torch-model-archiver", "engines/echo.so",
               "src/worker/test_worker_session", *(f"tests/engines/{name}" for name in engines)]
    environment = {"SCONCE_BIN_DIR": str(ROOT / "build-tsan" / "bin"),
                   "TSAN_OPTIONS": "halt_on_error=1", "SCONCE_E2E_STALL_MS": "500"}
    counts = meson_test("build-tsan", "--timeout-multiplier=4", "worker/session", targets=targets)
    served = pytest("tsan-worker", "tests/e2e/test_native.py", env=environment)
    counts.add(served)
    counts.report += served.report if served.failed else ""
    return counts


# Short ones first, then those that take longest.
STEPS = {
    "tidy": tidy,
    "lint": lint,
    "unit": lambda: meson_test("build"),
    "python": lambda: pytest("python", "-m", "not torch", "tests/unit_python",
                             env={"PYTHONPATH": str(ROOT / "python")}),
    "image": lambda: image("image", "build"),
    "neon": neon,
    "asan-e2e": lambda: e2e("asan-e2e", "build-asan"),
    "e2e": lambda: e2e("e2e", "build"),
    "compat": compat,
    "asan-unit": lambda: meson_test("build-asan", "--timeout-multiplier=4"),
    "asan-image": lambda: image("asan-image", "build-asan"),
    "torch": torch,
    "sim": sim,
    "optimize": optimize,
    "engines": engines,
    "examples": lambda: pages("examples"),
    "docs": lambda: pages("docs"),
    "asan-engines": lambda: engine_units("asan-engines", "build-asan"),
    "deploy": deploy,
    "wheel": lambda: pytest("wheel", "tests/wheel"),
    "tsan-worker": tsan_worker,
    "tsan-log": tsan_log,
}


def arguments():
    parser = argparse.ArgumentParser(description="Run the tests.")
    parser.add_argument("--only", metavar="STEP,…", default=",".join(STEPS),
                        help="of: " + ", ".join(STEPS))
    chosen = parser.parse_args().only.split(",")
    unknown = [name for name in chosen if name not in STEPS]
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}; there are {', '.join(STEPS)}")
    return chosen


class Lanes:
    """Steps that run beside each other; each lane takes the next one that nobody has."""

    def __init__(self, names):
        self.names, self.total, self.lock = list(names), Counts(), threading.Lock()

    def run(self):
        lanes = [threading.Thread(target=self.lane) for _ in range(LANES)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        return self.total

    def lane(self):
        while True:
            with self.lock:
                if not self.names:
                    return
                name = self.names.pop(0)
            began = time.monotonic()
            counts = outcome(name)
            with self.lock:
                if counts.failed:
                    print(f"---- {name} ----\n{counts.report.rstrip()}")
                print(f"{name + ':':<13} {counts} ({time.monotonic() - began:.0f} s)", flush=True)
                self.total.add(counts)


def outcome(name):
    """Counts of a step. One that breaks has failed, and the others go on."""
    try:
        return STEPS[name]()
    except Exception:
        return Counts(failed=1, report=traceback.format_exc())


def main():
    chosen = arguments()
    RESULTS.mkdir(parents=True, exist_ok=True)
    # Compilers need all processors; what runs beside them would wait.
    for folder in ("build", "build-asan"):
        if len(chosen) > 1 and any(needs(name) == folder for name in chosen):
            build(folder)
    total = Lanes(chosen).run()
    print(total)
    return 1 if total.failed else 0


def needs(name):
    if name == "sim" or name.startswith("asan-"):
        return "build-asan"
    return None if name in ("tidy", "lint", "python", "neon") else "build"


if __name__ == "__main__":
    sys.exit(main())
