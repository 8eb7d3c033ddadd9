// SPDX-License-Identifier: Apache-2.0
// The newest lines of the logs that are about one version, or one of its workers.

import { h, field, say, show } from "./dom.js";

const LOGS = {
  both: ["model", "server"],
  model: ["model"],
  server: ["server"],
  access: ["access"],
};
const NAMES = { both: "Model and server", model: "Model", server: "Server", access: "Access" };
const LEVEL = /^\S+ \[(\w+) *\]/;

/** A line of either format: when, how grave, and its text. */
export function parseLine(text) {
  if (text.startsWith('{"time"')) {
    try {
      const { time, level, thread, message } = JSON.parse(text);
      const rest = [level, thread, message].filter(Boolean).join(" ");
      return { at: String(time).slice(0, 23), level: String(level || ""), text: `${time} ${rest}` };
    } catch {
      // It was cut.
    }
  }
  const level = LEVEL.exec(text);
  return { at: text.slice(0, 23).replace(",", "."), level: level ? level[1] : "", text };
}

function select(options) {
  return h("select", {}, ...options.map(([value, name]) => h("option", { value }, name)));
}

export class Logs {
  constructor(app, version) {
    Object.assign(this, { app, version, shown: "" });
    this.log = select(Object.entries(NAMES));
    this.worker = select([["", "All"]]);
    this.filter = h("input", { type: "search", spellcheck: "false" });
    this.follow = h("input", { type: "checkbox", id: "follow", checked: true });
    this.lines = h("div", { class: "log", tabindex: 0, role: "region", "aria-label": "Log lines" });
    this.note = h("p", { class: "dim" });
    for (const input of [this.log, this.worker])
      input.addEventListener("change", () => this.load());
    this.filter.addEventListener("input", () => this.draw());
    this.element = h(
      "section",
      { class: "card" },
      h("h2", {}, "Log"),
      h(
        "div",
        { class: "row" },
        field("Log", this.log),
        field("Worker", this.worker),
        field("Filter", this.filter),
        h("div", { class: "check" }, this.follow, h("label", { for: "follow" }, "Follow")),
      ),
      this.lines,
      this.note,
    );
    this.found = [];
  }

  /** The workers to choose from. */
  setWorkers(ids) {
    const have = [...this.worker.options].map((o) => o.value).slice(1);
    if (have.join() === ids.join()) return;
    const chosen = this.worker.value;
    this.worker.replaceChildren(
      h("option", { value: "" }, "All"),
      ...ids.map((id) => h("option", { value: id }, `W-${id}`)),
    );
    this.worker.value = ids.includes(chosen) ? chosen : "";
  }

  choose(id) {
    this.worker.value = id;
    this.load();
    this.element.scrollIntoView({ block: "start" });
    this.lines.focus({ preventScroll: true });
  }

  poll() {
    if (this.follow.checked) this.load();
  }

  async load() {
    const { name, version } = this.version;
    const turn = (this.turn = {});
    try {
      const answers = await Promise.all(
        LOGS[this.log.value].map((log) =>
          this.app.call("GET", "console/api/logs", {
            query: { log, model: name, version, worker: this.worker.value, lines: 200 },
          }),
        ),
      );
      if (turn !== this.turn) return;
      this.found = answers.flatMap((a) => a.lines).map(parseLine);
      if (answers.length > 1) this.found.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
      this.found = this.found.slice(-200);
      this.more = answers.some((a) => a.more);
      this.draw();
    } catch (e) {
      if (turn === this.turn) say(this.note, e.message);
    }
  }

  draw() {
    const wanted = this.filter.value.toLowerCase();
    const lines = this.found.filter((line) => line.text.toLowerCase().includes(wanted));
    const text = lines.map((line) => line.text).join("\n");
    const box = this.lines;
    if (text !== this.shown || !box.firstChild) {
      const end = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
      this.shown = text;
      box.replaceChildren(
        ...lines.map((line) => h("div", { class: `line ${line.level.toLowerCase()}` }, line.text)),
      );
      if (!lines.length)
        box.append(
          h(
            "p",
            { class: "dim" },
            wanted ? "No line has that in it." : "Nothing is logged about it yet.",
          ),
        );
      if (end) box.scrollTop = box.scrollHeight;
    }
    say(this.note, this.more ? "Older lines: sconce logs --model MODEL on the server." : "");
    show(this.note, Boolean(this.more));
  }
}
