// SPDX-License-Identifier: Apache-2.0
// What `sconce optimize` has measured, as its archive carries it. An archive may say anything.

import { segment } from "./api.js";
import { h, say, show } from "./dom.js";
import { bytes, number, percent } from "./format.js";

const finite = (v) => (typeof v === "number" && Number.isFinite(v) ? v : null);
const text = (v) => (v === null || v === undefined || typeof v === "object" ? "–" : String(v));
const object = (v) => (v && typeof v === "object" && !Array.isArray(v) ? v : {});

const COLUMNS = [
  ["Latency", (r) => finite(r.latency_ms) ?? finite(r.model_ms), (v) => `${v.toFixed(1)} ms`],
  ["Throughput", (r) => finite(r.throughput), (v) => `${v.toFixed(1)}/s`],
  ["Memory", (r) => finite(r.memory), bytes],
  ["Loads in", (r) => finite(r.load_s), (v) => `${v.toFixed(2)} s`],
  ["Difference", (r) => finite(r.difference), (v) => v.toExponential(1)],
  ["Agreement", (r) => finite(r.agreement), percent],
];

function figureRow(name, row, chosen, most) {
  const title = h(
    "th",
    { scope: "row" },
    text(row.title ?? name),
    name === chosen ? h("span", { class: "tag" }, "chosen") : null,
  );
  if (row.error) return h("tr", {}, title, h("td", { colspan: COLUMNS.length }, text(row.error)));
  const share = finite(row.throughput) && most ? row.throughput / most : null;
  return h(
    "tr",
    {},
    title,
    ...COLUMNS.map(([label, value, format]) => {
      const v = value(row);
      const bar =
        label === "Throughput" && share !== null
          ? h("meter", {
              min: 0,
              max: 1,
              value: Math.min(Math.max(share, 0), 1),
              "aria-hidden": "true",
            })
          : null;
      return h("td", { "data-label": label }, v === null ? "–" : format(v), bar);
    }),
  );
}

function facts(report) {
  const made = object(report.made);
  const original = object(report.original);
  const serving = object(report.serving);
  return [
    ["Chosen", report.chosen],
    ["Engine", report.engine ?? made.runtime],
    ["Precision", report.precision],
    ["Difference", `${text(report.difference)} (allowed ${text(report.tolerance)})`],
    [
      "Samples",
      Array.isArray(report.samples) ? number(report.samples.length) : text(report.samples),
    ],
    ["Threads", serving.threads],
    ["Made", made.at],
    ["On", made.cpu],
    ["Made of", original.archive],
    ["SHA-256", original.sha256],
  ].filter(([, value]) => text(value) !== "–");
}

export class Report {
  constructor(app, version) {
    Object.assign(this, { app, version });
    this.note = h("p", { class: "dim" });
    this.element = h(
      "section",
      { class: "card", hidden: true },
      h("h2", {}, "Optimize report"),
      this.note,
    );
    this.load();
  }

  async load() {
    const { name, version } = this.version;
    try {
      const report = await this.app.call(
        "GET",
        `console/api/report/${segment(name)}/${segment(version)}`,
      );
      if (report === null) return;
      this.draw(report);
    } catch (e) {
      if (e.status === 404) return; // the version is not there
      say(this.note, e.message);
    }
    show(this.element, true);
  }

  draw(report) {
    const figures = Object.entries(object(report.figures))
      .slice(0, 100)
      .map(([name, row]) => [name, object(row)]);
    const most = Math.max(0, ...figures.map(([, row]) => finite(row.throughput) || 0));
    this.note.remove();
    this.element.append(
      h(
        "dl",
        { class: "facts" },
        ...facts(report).map(([name, value]) =>
          h("div", {}, h("dt", {}, name), h("dd", {}, text(value))),
        ),
      ),
      figures.length
        ? h(
            "div",
            { class: "scroll", tabindex: 0, role: "region", "aria-label": "Candidates" },
            h(
              "table",
              {},
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  h("th", { scope: "col" }, "Candidate"),
                  ...COLUMNS.map(([label]) => h("th", { scope: "col" }, label)),
                ),
              ),
              h(
                "tbody",
                {},
                ...figures.map(([name, row]) => figureRow(name, row, report.chosen, most)),
              ),
            ),
          )
        : h("p", { class: "dim" }, "It carries no figures."),
    );
  }
}
