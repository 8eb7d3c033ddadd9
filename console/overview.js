// SPDX-License-Identifier: Apache-2.0
// The server as a whole: its figures, charts, and the table of models.

import { Chart, Charts } from "./chart.js";
import { register } from "./dialogs.js";
import { h, keyed, say, show } from "./dom.js";
import { keyOf } from "./figures.js";
import { bytes, count, number, percent, rate, seconds, stateOf } from "./format.js";

export const hashOf = (v) =>
  `#/model/${encodeURIComponent(v.name)}/${encodeURIComponent(v.version)}`;

/** The charts that the whole server and one version have in common. */
function charts() {
  return [
    new Chart(
      "Latency",
      [
        { name: "p50", value: (p) => p.p50 },
        { name: "p90", value: (p) => p.p90 },
        { name: "p99", value: (p) => p.p99 },
      ],
      seconds,
    ),
    new Chart(
      "Requests",
      [
        { name: "answered", value: (p) => p.rate },
        { name: "4xx", value: (p) => p.theirs },
        { name: "5xx", value: (p) => p.ours },
      ],
      rate,
      1,
    ),
    new Chart(
      "Queue",
      [
        { name: "waiting", value: (p) => p.waiting },
        { name: "running", value: (p) => p.running },
      ],
      number,
      4,
    ),
    new Chart("Batch size", [{ name: "mean", value: (p) => p.batch }], number, 2),
  ];
}

function gpuSeries(gpus) {
  return gpus.slice(0, 8).map((gpu, i) => ({
    name: `GPU ${gpu.id}`,
    value: (p) => (p.gpus[i] ? p.gpus[i].busy : null),
  }));
}

const gpuMemory = (p) => p.gpus.reduce((n, gpu) => n + (gpu.memoryUsed ?? 0), 0);

function serverCharts(gpus) {
  return [
    ...charts(),
    new Chart(
      "Memory",
      [
        { name: "workers", value: (p) => p.workerMemory },
        { name: "requests", value: (p) => p.memory },
        ...(gpus.length ? [{ name: "GPUs", value: gpuMemory }] : []),
      ],
      bytes,
      1 << 20,
    ),
    new Chart("Processors", [{ name: "CPU", value: (p) => p.cpu }, ...gpuSeries(gpus)], percent, 1),
  ];
}

export function versionCharts() {
  return [
    ...charts(),
    new Chart("Memory", [{ name: "workers", value: (p) => p.workerMemory }], bytes, 1 << 20),
    new Chart(
      "Workers",
      [
        { name: "busy", value: (p) => p.busy },
        { name: "ready", value: (p) => p.ready },
      ],
      number,
      2,
    ),
  ];
}

const isBad = (v) => (v.min === undefined ? Boolean(v.why) : stateOf(v)[0] === "bad");

class Tile {
  constructor(name) {
    this.value = h("dd");
    this.note = h("dd", { class: "note" });
    this.element = h("div", { class: "tile" }, h("dt", {}, name), this.value, this.note);
  }

  set(value, note = "", kind = "") {
    say(this.value, value);
    say(this.note, note);
    this.value.className = kind;
  }
}

function row() {
  const cell = (label, ...children) => h("td", { "data-label": label }, ...children);
  const r = {
    link: h("a"),
    tag: h("span", { class: "tag" }, "default"),
    state: h("span"),
    why: h("small", { class: "why" }),
    workers: h("span"),
    rate: h("span"),
    p99: h("span"),
    waiting: h("span"),
    version: h("span", { class: "dim" }),
  };
  r.element = h(
    "tr",
    {},
    h("th", { scope: "row" }, r.link, " ", r.version, " ", r.tag),
    cell("State", r.state, r.why),
    cell("Workers", r.workers),
    cell("Requests", r.rate),
    cell("p99", r.p99),
    cell("Waiting", r.waiting),
  );
  return r;
}

function fillVersion(r, v, point) {
  const [kind, text] = stateOf(v);
  say(r.link, v.name);
  r.link.setAttribute("href", hashOf(v));
  say(r.version, v.version);
  show(r.tag, v.default);
  say(r.state, text);
  r.state.className = `state ${kind}`;
  say(r.why, v.failure || "");
  show(r.why, Boolean(v.failure));
  say(r.workers, v.ready ? `${v.busy} of ${v.ready} busy` : `0 of ${v.min}`);
  say(r.rate, rate(point ? point.rate : null));
  say(r.p99, seconds(point ? point.p99 : null));
  say(r.waiting, number(v.waiting));
}

/** What is on its way, or never arrived. */
function fillOther(r, item) {
  say(r.link, item.name);
  say(r.version, item.version || "");
  show(r.tag, false);
  const done = item.totalBytes ? ` ${percent(item.bytes / item.totalBytes)}` : "";
  say(r.state, item.why ? "Not loaded" : item.status.toLowerCase() + done);
  r.state.className = `state ${item.why ? "bad" : "warn"}`;
  say(r.why, item.why || item.url || "");
  show(r.why, true);
  for (const cell of [r.workers, r.rate, r.p99, r.waiting]) say(cell, "–");
}

export class Overview {
  constructor(app) {
    this.app = app;
    this.tiles = Object.fromEntries(
      ["Requests", "Latency p50", "Latency p99", "Errors", "Waiting", "Workers busy", "Memory"].map(
        (name) => [name, new Tile(name)],
      ),
    );
    this.chartsPlace = h("div");
    this.setCharts([]);
    this.filter = h("input", {
      type: "search",
      placeholder: "Filter",
      "aria-label": "Filter models",
      on: { input: () => this.update() },
    });
    this.register = h(
      "button",
      { type: "button", class: "primary", on: { click: () => register(app) } },
      "Register…",
    );
    this.body = h("tbody");
    this.table = h(
      "table",
      { class: "models" },
      h("caption", { class: "unseen" }, "Models"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...["Model", "State", "Workers", "Requests", "p99", "Waiting"].map((name) =>
            h("th", { scope: "col" }, name),
          ),
        ),
      ),
      this.body,
    );
    this.empty = h("div", { class: "empty" });
    this.element = h(
      "div",
      {},
      h("h1", { class: "unseen" }, "Overview"),
      h("dl", { class: "tiles" }, ...Object.values(this.tiles).map((t) => t.element)),
      this.chartsPlace,
      h("div", { class: "bar" }, h("h2", {}, "Models"), this.filter, this.register),
      h("div", { class: "card flush" }, this.table, this.empty),
    );
  }

  setCharts(gpus) {
    this.gpus = gpus.length;
    this.charts = new Charts(serverCharts(gpus));
    this.chartsPlace.replaceChildren(this.charts.element);
  }

  get title() {
    return "sconce";
  }

  update() {
    const { history } = this.app;
    const { now } = history;
    if (!now) return;
    const points = history.points(null);
    this.updateTiles(now, points[points.length - 1]);
    if (now.gpus.length !== this.gpus) this.setCharts(now.gpus);
    this.charts.update(points);
    this.updateModels(now, history.latest());
  }

  updateTiles(now, p) {
    const t = this.tiles;
    const sum = (name) => now.models.reduce((n, v) => n + v[name], 0);
    t.Requests.set(rate(p && p.rate), p && p.refused ? `${rate(p.refused)} refused` : "");
    t["Latency p50"].set(seconds(p && p.p50), p && p.queue ? `queue ${seconds(p.queue)}` : "");
    t["Latency p99"].set(seconds(p && p.p99));
    t.Errors.set(rate(p && p.errors), "", p && p.ours > 0 ? "bad" : "");
    t.Waiting.set(
      number(sum("waiting")),
      sum("running") ? `${number(sum("running"))} running` : "",
    );
    t["Workers busy"].set(
      `${sum("busy")} of ${sum("ready")}`,
      sum("ready") < sum("min") ? `${count(sum("min") - sum("ready"), "is", "are")} not ready` : "",
    );
    t.Memory.set(
      bytes(now.memory.used + sum("memory")),
      now.host.memoryTotal ? `of ${bytes(now.host.memoryTotal)}` : "",
    );
  }

  updateModels(now, latest) {
    const wanted = this.filter.value.trim().toLowerCase();
    const loaded = new Set(now.models.map((v) => v.name));
    const others = [
      ...now.registering,
      ...now.problems.filter(
        (p) => !loaded.has(p.name) && !now.registering.some((r) => r.name === p.name),
      ),
    ];
    const rows = [...now.models, ...others]
      .filter((v) => v.name.toLowerCase().includes(wanted))
      .sort((a, b) => isBad(b) - isBad(a)); // what is wrong comes first, else all stay in order
    keyed(
      this.body,
      rows,
      (v) => (v.min === undefined ? `${keyOf(v)}\u0000${v.url}` : keyOf(v)),
      row,
      (r, v) => (v.min === undefined ? fillOther(r, v) : fillVersion(r, v, latest.get(keyOf(v)))),
    );
    show(this.table, rows.length > 0);
    show(this.empty, rows.length === 0);
    show(this.filter, now.models.length > 5 || wanted !== "");
    show(this.register, now.modelApi);
    this.updateEmpty(now, wanted);
  }

  updateEmpty(now, wanted) {
    let text = "No models yet. Register an archive of the model store to begin.";
    if (wanted) text = `No model's name has “${this.filter.value.trim()}” in it.`;
    else if (now.starting) text = "The models of the start are being looked at.";
    else if (!now.modelApi) {
      text =
        "No models. Name them at the start (--models), or allow registering here with " +
        "--enable-model-api.";
    }
    say(this.empty, text);
  }
}
