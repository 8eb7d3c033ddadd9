// SPDX-License-Identifier: Apache-2.0
// One version of a model: its state, what can be changed, charts, workers, trying it, its log.

import { segment } from "./api.js";
import { Charts } from "./chart.js";
import { unregister } from "./dialogs.js";
import { field, h, keyed, say, show, toast } from "./dom.js";
import { keyOf } from "./figures.js";
import { bytes, seconds, stateOf } from "./format.js";
import { Logs } from "./logs.js";
import { versionCharts } from "./overview.js";
import { Report } from "./report.js";
import { Try } from "./try.js";

const WORKER_KNOWN = new Set([
  "id",
  "startTime",
  "status",
  "memoryUsage",
  "pid",
  "gpu",
  "gpuUsage",
  "instance",
]);
const LOOK_MS = 5000;

function workerRow(logs) {
  const cell = (label, ...children) => h("td", { "data-label": label }, ...children);
  const r = Object.fromEntries(
    ["name", "state", "pid", "memory", "gpu", "since", "details"].map((name) => [name, h("span")]),
  );
  r.log = h("button", { type: "button", class: "plain small" }, "Log");
  r.log.addEventListener("click", () => logs.choose(r.id));
  r.element = h(
    "tr",
    {},
    h("th", { scope: "row" }, r.name),
    cell("State", r.state),
    cell("PID", r.pid),
    cell("Memory", r.memory),
    cell("GPU", r.gpu),
    cell("Since", r.since),
    cell("Details", r.details),
    h("td", { class: "act" }, r.log),
  );
  return r;
}

/** What an engine or a handler says of itself beyond what every worker has. */
function detailsOf(worker) {
  return Object.entries(worker)
    .filter(([name]) => !WORKER_KNOWN.has(name))
    .map(([name, v]) => `${name} ${typeof v === "object" ? JSON.stringify(v) : v}`)
    .join(", ")
    .slice(0, 300);
}

function gpuOf(worker) {
  if (!worker.gpu) return "–";
  const match =
    /gpuId::(\d+) utilization\.gpu::(.+?) utilization\.memory::.* memory\.used::(.+)$/.exec(
      worker.gpuUsage,
    );
  return match ? `${match[1]}: ${match[2]}, ${match[3]}` : worker.gpuUsage;
}

function fillWorker(r, w) {
  r.id = w.id;
  say(r.name, `W-${w.id}${w.instance === undefined ? "" : ` #${w.instance}`}`);
  r.log.setAttribute("aria-label", `Log of W-${w.id}`);
  const [kind, text] = { READY: ["good", "Ready"], FAILED: ["bad", "Given up"] }[w.status] || [
    "warn",
    "Not ready",
  ];
  say(r.state, text);
  r.state.className = `state ${kind}`;
  say(r.pid, w.pid > 0 ? String(w.pid) : "–");
  say(r.memory, w.memoryUsage ? bytes(w.memoryUsage) : "–");
  say(r.gpu, gpuOf(w));
  say(r.since, String(w.startTime).slice(0, 19).replace("T", " "));
  say(r.details, detailsOf(w) || "–");
}

export class Model {
  constructor(app, name, version) {
    Object.assign(this, { app, name, version, key: keyOf({ name, version }), looked: -Infinity });
    this.title = `${name} ${version} · sconce`;
    this.charts = new Charts(versionCharts());
    this.logs = new Logs(app, this);
    this.try = new Try(app, { name, version });
    this.makeHead();
    this.makeWorkers();
    this.report = null;
    this.reportPlace = h("div");
    this.parts = h(
      "div",
      {},
      this.facts,
      this.actions,
      this.charts.element,
      this.workers,
      this.try.element,
      this.logs.element,
      this.reportPlace,
    );
    this.gone = h(
      "p",
      { class: "empty card", hidden: true },
      "There is no such version now. It may have been unregistered, or be on its way.",
    );
    this.element = h(
      "div",
      {},
      h("p", { class: "back" }, h("a", { href: "#/" }, "← All models")),
      h("div", { class: "bar" }, this.heading, this.state, this.tag),
      this.problem,
      this.gone,
      this.parts,
    );
    this.logs.load();
  }

  makeHead() {
    this.heading = h(
      "h1",
      { tabindex: -1 },
      this.name,
      " ",
      h("span", { class: "dim" }, this.version),
    );
    this.state = h("span", { class: "state" });
    this.tag = h("span", { class: "tag", hidden: true }, "default");
    this.problem = h("div", { class: "problem", hidden: true, role: "status" });
    this.facts = h("dl", { class: "facts card" });
    const touch = () => {
      this.touched = true;
    };
    this.min = h("input", {
      type: "number",
      min: 0,
      max: 4096,
      step: 1,
      required: true,
      on: { input: touch },
    });
    this.scale = h("button", { type: "submit" }, "Scale");
    const form = h(
      "form",
      {
        class: "row",
        on: {
          submit: (e) => {
            e.preventDefault();
            this.setWorkers();
          },
        },
      },
      field("Workers", this.min),
      this.scale,
    );
    this.default = h(
      "button",
      { type: "button", on: { click: () => this.setDefault() } },
      "Set as default",
    );
    this.remove = h(
      "button",
      { type: "button", class: "danger", on: { click: () => this.unregister() } },
      "Unregister…",
    );
    this.removeHint = h("small", { hidden: true }, "To unregister it, set another default first.");
    this.actions = h(
      "section",
      { class: "card actions", "aria-label": "Change" },
      form,
      this.default,
      this.removeHint,
      this.remove,
    );
  }

  makeWorkers() {
    this.body = h("tbody");
    this.noWorkers = h("p", { class: "empty" }, "No workers. Scale it up to have it answer.");
    this.workerTable = h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...["Worker", "State", "PID", "Memory", "GPU", "Since", "Details"].map((name) =>
            h("th", { scope: "col" }, name),
          ),
          h("td"),
        ),
      ),
      this.body,
    );
    this.workers = h(
      "section",
      { class: "card" },
      h("h2", {}, "Workers"),
      this.workerTable,
      this.noWorkers,
    );
  }

  get path() {
    return `models/${segment(this.name)}/${segment(this.version)}`;
  }

  async change(button, method, path, options) {
    button.disabled = true;
    try {
      const done = await this.app.call(method, path, options);
      toast(String(done.status));
    } catch (e) {
      toast(e.message, "bad");
    }
    button.disabled = false;
    this.looked = -Infinity;
    this.app.poll();
  }

  setWorkers() {
    const workers = this.min.value;
    this.touched = false;
    return this.change(this.scale, "PUT", this.path, {
      query: { min_worker: workers, max_worker: workers, synchronous: "true" },
    });
  }

  setDefault() {
    return this.change(this.default, "PUT", `${this.path}/set-default`);
  }

  async unregister() {
    if (await unregister(this.app, this)) location.hash = "#/";
  }

  update() {
    const { history } = this.app;
    if (!history.now) return;
    const v = history.now.models.find((one) => keyOf(one) === this.key);
    show(this.gone, !v);
    show(this.parts, Boolean(v));
    show(this.state, Boolean(v));
    if (!v) return;
    this.updateHead(v, history.now);
    const points = history.points(this.key);
    this.charts.update(points);
    this.try.update();
    if (!this.report) {
      this.report = new Report(this.app, this);
      this.reportPlace.append(this.report.element);
    }
    if (history.now.at - this.looked >= LOOK_MS) this.look(history.now.at);
    this.logs.poll();
  }

  updateHead(v, now) {
    const [kind, text] = stateOf(v);
    say(this.state, text);
    this.state.className = `state ${kind}`;
    show(this.tag, v.default);
    this.updateProblem(v);
    this.updateFacts(v);
    const siblings = now.models.filter((one) => one.name === v.name).length;
    if (!this.touched && document.activeElement !== this.min) this.min.value = v.min;
    show(this.default, !v.default);
    show(this.remove, now.modelApi);
    this.remove.disabled = v.default && siblings > 1;
    show(this.removeHint, this.remove.disabled);
  }

  updateProblem(v) {
    show(this.problem, Boolean(v.failure));
    if (!v.failure || this.problem.said === v.failure) return;
    this.problem.said = v.failure;
    this.problem.replaceChildren(
      h("strong", {}, "Its workers do not load."),
      h("code", {}, v.failure),
      h(
        "p",
        {},
        "The log below has the traceback. Mend the archive, then register it again; or scale ",
        "it to 0 and back to have it tried at once.",
      ),
    );
  }

  updateFacts(v) {
    const path = v.path ? "native, without Python" : v.pathReason ? `handler: ${v.pathReason}` : "";
    const facts = [
      ["Archive", v.url],
      ["Runtime", v.runtime],
      ["Path", path],
      [
        "Batches",
        v.batchSize > 1 ? `up to ${v.batchSize}, wait up to ${v.maxBatchDelay} ms` : "of one",
      ],
      ["Latency goal", v.latencyGoal ? seconds(v.latencyGoal / 1000) : ""],
      ["Queue", `${v.waiting} of ${v.queueMax}`],
      ["Restarts", String(v.restarts)],
      ["Refused", String(v.refused)],
    ].filter(([, value]) => value);
    const said = JSON.stringify(facts);
    if (this.facts.said === said) return;
    this.facts.said = said;
    this.facts.replaceChildren(
      ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    );
  }

  /** Its workers one by one. */
  async look(at) {
    this.looked = at;
    let workers;
    try {
      const all = await this.app.call("GET", this.path);
      workers = (all.find((one) => one.modelVersion === this.version) || { workers: [] }).workers;
    } catch {
      return; // the next look tells what is wrong
    }
    show(this.workerTable, workers.length > 0);
    show(this.noWorkers, workers.length === 0);
    keyed(
      this.body,
      workers,
      (w) => `${w.id}/${w.instance ?? ""}`,
      () => workerRow(this.logs),
      fillWorker,
    );
    this.logs.setWorkers([...new Set(workers.map((w) => w.id))]);
  }
}
