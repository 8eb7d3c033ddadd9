// SPDX-License-Identifier: Apache-2.0
// A small chart of lines over time. The legend has the newest values, or those under the pointer.

import { h, say, svg } from "./dom.js";
import { duration } from "./format.js";

const WIDTH = 300;
const HEIGHT = 84;
const SPAN_LEAST = 60000; // ms
const SPAN_MOST = 300000;

/** How much time the charts of these points cover, ms. */
function spanOf(points) {
  const age = points.length ? points[points.length - 1].at - points[0].at : 0;
  return Math.min(Math.max(age, SPAN_LEAST), SPAN_MOST);
}

/** Several charts of the same points, and the time that they cover. */
export class Charts {
  constructor(all) {
    this.all = all;
    this.span = h("p", { class: "span" });
    const grid = h("div", { class: "charts" }, ...all.map((chart) => chart.element));
    this.element = h("div", {}, grid, this.span);
  }

  update(points) {
    for (const chart of this.all) chart.update(points);
    say(this.span, `The last ${duration(spanOf(points))}, every 2 s`);
  }
}

/** A round number above `v`, so that the scale does not move with every point. */
function ceiling(v) {
  if (!(v > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 3, 5, 7.5, 10].find((step) => step * power >= v) * power;
}

function line(points, value, x, y) {
  let path = "";
  let drawn = false;
  for (const point of points) {
    const v = value(point);
    const there = v !== null && v !== undefined && Number.isFinite(v);
    if (there) path += `${drawn ? "L" : "M"}${x(point.at).toFixed(1)} ${y(v).toFixed(1)}`;
    drawn = there;
  }
  return path;
}

export class Chart {
  /** `series`: [{ name, value(point) }]; `least`: the scale reaches at least so far. */
  constructor(title, series, format, least = 0) {
    Object.assign(this, { title, format, least, points: [] });
    this.frame = svg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
    });
    this.top = h("span", { class: "scale" });
    this.legend = h("ul", { class: "legend" });
    this.cursor = svg("path", { class: "cursor" });
    this.plot = h("div", { class: "plot" }, this.frame, this.top);
    this.element = h(
      "section",
      { class: "card chart" },
      h("h3", {}, title),
      this.legend,
      this.plot,
    );
    this.plot.addEventListener("pointermove", (e) => this.point(e));
    this.plot.addEventListener("pointerleave", () => this.point(null));
    this.setSeries(series);
  }

  setSeries(series) {
    this.series = series;
    this.lines = series.map((_, i) => svg("path", { class: `line s${i % 5}` }));
    this.values = series.map(() => h("b"));
    this.legend.replaceChildren(
      ...series.map((s, i) => h("li", { class: `s${i % 5}` }, `${s.name} `, this.values[i])),
    );
    const grid = [0.25, 0.5, 0.75, 1].map((part) => HEIGHT * part - (part === 1 ? 0.5 : 0));
    this.frame.replaceChildren(
      svg("path", { class: "grid", d: grid.map((y) => `M0 ${y}H${WIDTH}`).join("") }),
      ...this.lines,
      this.cursor,
    );
  }

  update(points) {
    this.points = points;
    const end = points.length ? points[points.length - 1].at : 0;
    const values = points
      .flatMap((p) => this.series.map((s) => s.value(p)))
      .filter((v) => Number.isFinite(v));
    const top = ceiling(Math.max(this.least, ...values));
    const span = spanOf(points);
    this.x = (at) => WIDTH - ((end - at) / span) * WIDTH;
    const y = (v) => HEIGHT - 1 - (v / top) * (HEIGHT - 4);
    this.series.forEach((s, i) =>
      this.lines[i].setAttribute("d", line(points, s.value, this.x, y)),
    );
    say(this.top, values.length ? this.format(top) : "");
    this.tell();
  }

  /** Which point the legend is about. */
  point(event) {
    if (event && this.points.length) {
      const box = this.plot.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * WIDTH;
      const far = (p) => Math.abs(this.x(p.at) - x);
      this.shown = this.points.reduce((best, p) => (far(p) < far(best) ? p : best));
      this.cursor.setAttribute("d", `M${this.x(this.shown.at).toFixed(1)} 0V${HEIGHT}`);
    } else {
      this.shown = null;
      this.cursor.setAttribute("d", "");
    }
    this.tell();
  }

  tell() {
    const point = this.shown || this.points[this.points.length - 1];
    this.series.forEach((s, i) => say(this.values[i], point ? this.format(s.value(point)) : "–"));
    const said = this.series.map((s, i) => `${s.name} ${this.values[i].textContent}`).join(", ");
    this.frame.setAttribute("aria-label", `${this.title}: ${said}`);
  }
}
