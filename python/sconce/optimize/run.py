# SPDX-License-Identifier: Apache-2.0
"""The run: what is the same for models of handlers (handler_run) and of engines (engine_run)."""

import json
from pathlib import Path

from sconce.compiled.processor import cpu_name
from sconce.optimize import candidates, measure, pack, report, table
from sconce.optimize.child import Child
from sconce.optimize.choose import choose, within
from sconce.optimize.failure import Failure, Unsuitable, Usage
from sconce.optimize.progress import Progress

NOTHING_CHOSEN = 3


class Run:
    """Who derives from it has

    record()        samples, and what the original makes of them
    kinds()         the candidates that may be made of such a model
    make(row)       builds one, and says in `row` how far it is from the original
    media_type(p)   of a sample
    """

    def __init__(self, options, work, source):
        self.o, self.work, self.source = options, work, source
        self.progress, self.child = Progress(), Child(work)
        self.output = Path(options["output"] or "%s-optimized.mar" % self.source.name).resolve()
        pack.check_place(options["output"] or self.output.name, self.output, self.source.path)
        if options["report"]:
            pack.check_folder("--report", options["report"], Path(options["report"]).resolve())
        self.instances = options["instances"] or measure.processors()
        self.serving = None
        self.recordings = []    # samples that are calls of the model, and no bodies
        self._check_names("--candidates", options["candidates"],
                          [c.name for c in candidates.CANDIDATES])
        self._check_names("--allow", options["allow"], candidates.ALLOW)

    @staticmethod
    def _check_names(option, given, known):
        for name in given:
            if name not in known:
                raise Usage("%s %s: there is no such %s; there are %s" % (
                    option, name, "precision" if option == "--allow" else "candidate",
                    ", ".join(sorted(known))))

    @property
    def served(self):
        """Whether candidates are measured behind servers."""
        return bool(self.bodies) and self.o["rounds"] > 0

    def _sample_names(self):
        return [p.name for p in [*self.bodies, *self.recordings]]

    def warn_of_made_up(self):
        self.progress.say("warning: the samples are made up, so they prove little of how exact the "
                          "outputs are: --samples names real ones")

    def job(self, **more):
        """What child processes read."""
        path = self.work / "job.json"
        path.write_text(json.dumps({
            "source": str(self.source.dir), "work": str(self.work), "device": self.o["device"],
            "serialized": self.source.serialized.name if self.source.serialized else "",
            "made_up": self.made_up, "tolerance": self.o["tolerance"],
            "archive": self.source.path.name, "sha256": self.source.sha256,
            "version": self.o["version"], **more}))
        return str(path)

    def made(self, row):
        """The folder of what was made."""
        return self.work / "candidates" / row["name"] / "optimized"

    # ---- candidates ----

    def build(self):
        chosen = self.o["candidates"]
        self.rows = [{"name": "original", "title": "original", "precision": "fp32"}]
        kinds = self.kinds()
        for candidate in candidates.CANDIDATES:
            if candidate.name not in chosen if chosen else candidate not in kinds:
                continue
            row = {"name": candidate.name, "title": candidate.title,
                   "precision": candidate.precision}
            try:
                if candidate not in kinds:
                    raise Unsuitable("it is not for such a model, or is what the original is")
                candidates.suitable(candidate, self.o["device"], self.o["allow"])
            except Unsuitable as e:
                row["error"] = str(e)
            self.rows.append(row)
        # What is for another device is no news.
        if not chosen:
            self.rows = [r for r in self.rows if "it is not for" not in r.get("error", "")]
        todo = [r for r in self.rows if not r.get("error")]
        self.progress.expect(len(todo) * (2 + self.o["rounds"] if self.served else 1)
                             + self.served)
        for row in todo:
            self.progress.step("building %s" % row["title"])
            self.make(row)
            if row.get("error") and row["name"] == "original":
                raise Failure("the original model does not run: %s" % row["error"])

    # ---- figures ----

    def measure(self):
        if not self.served:
            return
        body = sorted(self.bodies, key=lambda p: p.stat().st_size)[len(self.bodies) // 2]
        self.bench = measure.Bench(self.source.name, body, self.media_type(body), self.instances,
                                   self.o["seconds"], self.o["device"])
        running = [r for r in self.rows if not r.get("error")]
        try:
            self._rounds(running)
            self._take_figures(running)
            chosen, _ = self._choose()
            if chosen:
                self.progress.step("measuring %s with other numbers of instances" % chosen["title"])
                self.serving = self.bench.sweep(chosen["name"])
        finally:
            self.bench.stop()

    def _rounds(self, running):
        for row in running:
            self.progress.step("starting a worker of %s" % row["title"])
            self.bench.start(row["name"], pack.model_dir(
                self.source.dir, None if row["name"] == "original" else self.made(row),
                self.work / "models" / row["name"]))
        for i in range(self.o["rounds"]):
            for name in list(self.bench.servers):
                self.progress.step("measuring %s, round %d of %d"
                                   % (name, i + 1, self.o["rounds"]))
                self.bench.round(name)

    def _take_figures(self, running):
        for row in running:
            if row["name"] in self.bench.errors:
                row["error"] = self.bench.errors[row["name"]]
            else:
                row.update(self.bench.figures[row["name"]].as_json())
        if self.rows[0].get("error"):
            raise Failure("the original model cannot be measured: %s" % self.rows[0]["error"])

    def _choose(self):
        return choose(self.rows, self.o["tolerance"], self.o["accept"])

    # ---- the end ----

    def finish(self):
        chosen, why = self._choose()
        self.progress.end()
        for row in self.rows[1:]:
            if not row.get("error"):
                row["within"] = within(row, self.o["tolerance"])
        if chosen:
            pack.add_provenance(self.made(chosen), self.rows, chosen, {
                "made_up": self.made_up, "calls": self.n_calls,
                "files": self._sample_names()}, self.serving)
        verdict = self._verdict(chosen, why)
        with pack.Outputs() as outputs:
            if chosen:
                pack.write(self.source.dir, self.made(chosen), self.output, outputs)
            place = self._report(verdict, chosen, outputs)
            outputs.publish()
        self._tell(chosen, why, verdict, place)
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

    def _advice(self):
        """How it is served best, as far as that was measured."""
        n, threads = self.serving["instances"], self.serving["threads"]
        return "%d instance%s with %d thread%s" % (n, "s" * (n > 1), threads, "s" * (threads > 1))

    def _report(self, verdict, chosen, outputs):
        place = self.o["report"] or (str(self.output.with_suffix(".html")) if chosen else None)
        if not place:
            return None
        facts = {"Model": "%s (%s)" % (self.source.path.name, self.source.sha256[:16]),
                 "Processor": "%s, %d used" % (cpu_name(), measure.processors()),
                 "Samples": "made up" if self.made_up else ", ".join(
                     self._sample_names()[:5]) + (", …" if len(self._sample_names()) > 5 else ""),
                 "Rounds": "%d, in turns; medians" % self.o["rounds"] if self.served
                 else "none: the model alone, without a server; the fastest of its calls",
                 "Difference": "the greatest of any output, as a part of the greatest magnitude of "
                               "that output; tolerance %g" % self.o["tolerance"],
                 "Top-1": "rows whose greatest element is where the original's is"}
        if self.serving:
            facts["Most answers"] = self._advice() + ", of those that were tried"
        try:
            Path(outputs.add(Path(place).resolve())).write_text(report.document(
                self.source.name, verdict, self.rows, chosen, self.instances, facts))
        except OSError as e:
            raise Failure("--report %s: %s" % (place, e.strerror)) from None
        return place

    def _tell(self, chosen, why, verdict, place):
        if self.o["json"]:
            print(json.dumps({
                "model": self.source.name, "chosen": chosen and chosen["name"], "why": why,
                "output": str(self.output) if chosen else None, "report": place,
                "instances": self.instances, "serving": self.serving,
                "samples_made_up": self.made_up,
                "tolerance": self.o["tolerance"],
                "candidates": [_plain(r) for r in self.rows]}))
            return
        print(table.text(self.rows, chosen, self.instances))
        print("\n" + verdict)
        if self.serving:
            print("It answers most with %s." % self._advice())
        if place:
            print("Report: %s" % place)


def _plain(row):
    """For JSON, which has no infinity."""
    return {k: (None if v == float("inf") else v) for k, v in row.items()}
