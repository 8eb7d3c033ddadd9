# SPDX-License-Identifier: Apache-2.0
"""The run of `sconce optimize`: see the package."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from sconce.compiled.processor import cpu_name
from sconce.optimize import candidates, measure, pack, report, samples, table
from sconce.optimize.choose import choose, within
from sconce.optimize.failure import Failure, Unsuitable, sentence
from sconce.optimize.process import dies_with_us
from sconce.optimize.progress import Progress
from sconce.optimize.source import Source

BUILD_S = 1800
NOTHING_CHOSEN, INTERRUPTED = 3, 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """A process in which user code or a compiler runs: its result, or why there is none."""

    def __init__(self, work):
        self.work = work

    def run(self, module, arguments, name):
        result = self.work / ("%s.json" % name)
        log = self.work / ("%s.log" % name)
        with open(log, "wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "sconce.optimize." + module, *arguments, str(result)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.work,
                start_new_session=True, preexec_fn=dies_with_us)
            try:
                child.wait(BUILD_S)
            except subprocess.TimeoutExpired:
                return {"error": "it was not ready after %d minutes" % (BUILD_S // 60)}
            finally:
                _end(child)
        if result.exists():
            return json.loads(result.read_text())
        return {"error": _death(child.returncode, log)}


def _end(child):
    """The process and whatever it has started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _death(code, log):
    if code < 0:
        return "its process was ended by %s" % signal.Signals(-code).name
    lines = log.read_text(errors="replace").strip().split("\n")
    return "its process ended: %s" % (lines[-1][:300] or "exit code %d" % code)


class Run:
    def __init__(self, options, work):
        self.o, self.work = options, work
        self.progress = Progress()
        self.child = Child(work)
        self.source = Source(options["target"], work)
        self.output = Path(options["output"] or "%s-optimized.mar" % self.source.name).resolve()
        pack.check_place(options["output"] or self.output.name, self.output, self.source.path)
        if options["report"]:
            pack.check_folder("--report", options["report"], Path(options["report"]).resolve())
        self.instances = options["instances"] or measure.processors()
        self.made_up, self.bodies = self._bodies()
        self.served = bool(self.bodies) and self.o["rounds"] > 0

    # ---- samples ----

    def _bodies(self):
        if self.o["samples"]:
            return False, samples.find(self.o["samples"])
        made = samples.make(self.source.manifest["handler"], self.work / "samples")
        for shape in self.o["shapes"]:
            samples.parse_shape(shape)
        if not made and not self.o["shapes"]:
            raise Failure("%s has a handler of its own, so only you know what it is sent: "
                          "--samples names a folder of request bodies, --shape a tensor of the "
                          "model" % self.source.name)
        self.progress.say("warning: the samples are made up, so they prove little of how exact the "
                          "outputs are: --samples names real ones")
        return True, [] if self.o["shapes"] else made

    def _job(self):
        job = {"source": str(self.source.dir), "work": str(self.work), "device": self.o["device"],
               "shapes": self.o["shapes"], "samples": [os.path.abspath(p) for p in self.bodies],
               "made_up": self.made_up, "tolerance": self.o["tolerance"],
               "recorded": str(self.work / "recorded.pt"), "facts": str(self.work / "facts.json"),
               "archive": self.source.path.name, "sha256": self.source.sha256,
               "version": self.o["version"]}
        self.job = self.work / "job.json"
        self.job.write_text(json.dumps(job))

    def record(self):
        self.progress.step("recording what the handler calls its model with")
        self._job()
        facts = self.child.run("record", [str(self.job)], "facts")
        if facts.get("error"):
            raise Failure(facts["error"])
        for line in facts["refused"]:
            self.progress.say("warning: sample left out: " + line)
        self.facts = facts

    # ---- candidates ----

    def _wanted(self):
        chosen = self.o["candidates"]
        known = {c.name for c in candidates.CANDIDATES}
        for name in chosen:
            if name not in known:
                raise Failure("--candidates %s: there is no such candidate; there are %s"
                              % (name, ", ".join(sorted(known))))
        return [c for c in candidates.CANDIDATES if not chosen or c.name in chosen]

    def build(self):
        self.rows = [{"name": "original", "title": "original", "precision": "fp32"}]
        for candidate in self._wanted():
            row = {"name": candidate.name, "title": candidate.title,
                   "precision": candidate.precision}
            try:
                candidates.suitable(candidate, self.o["device"], self.o["allow"])
            except Unsuitable as e:
                row["error"] = str(e)
            self.rows.append(row)
        # What is for another device, or was not asked for, is no news.
        if not self.o["candidates"]:
            self.rows = [r for r in self.rows if "it is not for" not in r.get("error", "")]
        todo = [r for r in self.rows if not r.get("error")]
        self.progress.expect(len(todo) * (2 + self.o["rounds"] if self.served else 1))
        for row in todo:
            self.progress.step("building %s" % row["title"])
            row.update(self.child.run("build", [str(self.job), row["name"]],
                                      "build-" + row["name"]))
            if row.get("error") and row["name"] == "original":
                raise Failure("the original model does not run: %s" % row["error"])

    # ---- figures ----

    def measure(self):
        if not self.served:
            return
        body = sorted(self.bodies, key=lambda p: p.stat().st_size)[len(self.bodies) // 2]
        bench = measure.Bench(self.source.name, body, samples.media_type(body), self.instances,
                              self.o["seconds"])
        running = [r for r in self.rows if not r.get("error")]
        try:
            for row in running:
                self.progress.step("starting a worker of %s" % row["title"])
                made = self.work / "candidates" / row["name"] / "optimized"
                bench.start(row["name"], pack.model_dir(
                    self.source.dir, None if row["name"] == "original" else made,
                    self.work / "models" / row["name"]))
            for i in range(self.o["rounds"]):
                for name in list(bench.servers):
                    self.progress.step("measuring %s, round %d of %d"
                                       % (name, i + 1, self.o["rounds"]))
                    bench.round(name)
        finally:
            bench.stop()
        for row in running:
            if row["name"] in bench.errors:
                row["error"] = bench.errors[row["name"]]
            else:
                row.update(bench.figures[row["name"]].as_json())
        if self.rows[0].get("error"):
            raise Failure("the original model cannot be measured: %s" % self.rows[0]["error"])

    # ---- the end ----

    def finish(self):
        chosen, why = choose(self.rows, self.o["tolerance"], self.o["accept"])
        self.progress.end()
        if chosen:
            made = self.work / "candidates" / chosen["name"] / "optimized"
            pack.add_provenance(made, self.rows, chosen, {
                "made_up": self.made_up, "calls": self.facts["calls"],
                "files": [p.name for p in self.bodies]})
            pack.write(self.source.dir, made, self.output)
        self._tell(chosen, why)
        return 0 if chosen else NOTHING_CHOSEN

    def _verdict(self, chosen, why):
        if not chosen:
            return "Nothing was chosen: %s." % why
        original = self.rows[0]
        key = "throughput" if chosen.get("throughput") else "model_ms"
        ratio = (chosen[key] / original[key] if key == "throughput"
                 else original[key] / chosen[key])
        return "%s, %s: %.1f times as fast as the original. Written to %s." % (
            chosen["title"], why, ratio, self.output.name)

    def _report(self, verdict, chosen):
        place = self.o["report"] or (str(self.output.with_suffix(".html")) if chosen else None)
        if not place:
            return None
        facts = {"Model": "%s (%s)" % (self.source.path.name, self.source.sha256[:16]),
                 "Processor": "%s, %d used" % (cpu_name(), measure.processors()),
                 "Samples": "made up" if self.made_up else ", ".join(
                     p.name for p in self.bodies[:5]) + (", …" if len(self.bodies) > 5 else ""),
                 "Rounds": "%d, in turns; medians" % self.o["rounds"] if self.served
                 else "none: the model alone, without a server",
                 "Difference": "the greatest of any output, as a part of the greatest magnitude of "
                               "that output; tolerance %g" % self.o["tolerance"],
                 "Top-1": "rows whose greatest element is where the original's is"}
        try:
            Path(place).write_text(report.document(self.source.name, verdict, self.rows, chosen,
                                                   self.instances, facts))
        except OSError as e:
            raise Failure("--report %s: %s" % (place, e.strerror)) from None
        return place

    def _tell(self, chosen, why):
        verdict = self._verdict(chosen, why)
        place = self._report(verdict, chosen)
        if self.o["json"]:
            print(json.dumps({
                "model": self.source.name, "chosen": chosen and chosen["name"], "why": why,
                "output": str(self.output) if chosen else None, "report": place,
                "instances": self.instances, "samples_made_up": self.made_up,
                "tolerance": self.o["tolerance"], "candidates": [_plain(r, self.o["tolerance"])
                                                                 for r in self.rows]}))
            return
        print(table.text(self.rows, chosen, self.instances))
        print("\n" + verdict)
        if place:
            print("Report: %s" % place)


def _plain(row, tolerance):
    """For JSON, which has no infinity."""
    row = {k: (None if v == float("inf") else v) for k, v in row.items()}
    if row["name"] != "original" and not row.get("error"):
        row["within"] = row["difference"] is not None and within(row, tolerance)
    return row


def _check_device(device):
    if device == "cuda":
        import torch
        if not torch.cuda.is_available():
            raise Failure("--device cuda: torch sees no GPU here")


def _interrupt(signum, frame):
    """Once: what is ended and removed then is not to be interrupted."""
    for other in SIGNALS:
        signal.signal(other, lambda *_: None)
    raise KeyboardInterrupt


def _hear_signals():
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:   # nohup
            signal.signal(number, _interrupt)


def main(text):
    options = json.loads(text)
    _hear_signals()
    work = None
    try:
        work = Path(tempfile.mkdtemp(prefix="sconce-optimize-"))
        _check_device(options["device"])
        run = Run(options, work)
        run.record()
        run.build()
        run.measure()
        return run.finish()
    except Failure as e:
        print("\nsconce optimize: error: %s" % sentence(e), file=sys.stderr)
        return 1
    except ImportError as e:
        print("sconce optimize: error: %s: %s has no such package; --python names another "
              "interpreter" % (sentence(e), sys.executable), file=sys.stderr)
        return 1
    except OSError as e:    # a full disk, most likely
        print("\nsconce optimize: error: %s" % sentence(e), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsconce optimize: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    finally:
        if work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
