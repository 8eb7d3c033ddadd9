# SPDX-License-Identifier: Apache-2.0
"""The report: one HTML file with everything in it, which prints well."""

import html

from sconce.optimize import table

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --quiet: #65717f; --line: #d5dbe2; --bar: #8fa7c4;
  --best: #1f7a4d; --back: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf1; --quiet: #9aa7b5; --line: #39434f;
  --bar: #5b7699; --best: #43b37c; --back: #161b21; } }
@media print { :root { --ink: #000; --back: #fff; --line: #bbb; --quiet: #444; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td.why { text-align: left; white-space: normal; color: var(--quiet); }
tr.chosen td { font-weight: 600; color: var(--best); }
svg { display: block; width: 100%; min-width: 36rem; height: auto; break-inside: avoid; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
small { display: block; color: var(--quiet); }
.bar { fill: var(--bar); } .bar.chosen { fill: var(--best); } .bar.outside { opacity: .45; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { font-size: 12px; max-width: none; margin: 0; padding: 0; }
  .scroll { overflow: visible; } th, td { padding: .2rem .4rem; } small { white-space: normal; }
  tr, dl { break-inside: avoid; } h2 { break-after: avoid; margin-top: 1.2rem; } }
"""
WIDTH, LABEL, HEIGHT = 760, 210, 28


def _mark(row, chosen):
    if chosen and row["name"] == chosen["name"]:
        return "chosen"
    return "outside" if row.get("within") is False else ""


def _chart(title, rows, chosen, key, pattern):
    """Bars of one figure; longer is more."""
    shown = [r for r in rows if not r.get("error") and r.get(key) is not None]
    if len(shown) < 2:
        return ""
    most = max(r[key] for r in shown) or 1
    bars = []
    for i, row in enumerate(shown):
        y, width = i * HEIGHT, (WIDTH - LABEL - 110) * row[key] / most
        mark = _mark(row, chosen)
        bars.append('<text x="0" y="%d">%s</text><rect class="bar %s" x="%d" y="%d" width="%.1f" '
                    'height="16" rx="2"/><text x="%.1f" y="%d">%s</text>'
                    % (y + 17, html.escape(row["title"]), mark, LABEL, y + 4, width,
                       LABEL + width + 8, y + 17, html.escape(pattern(row[key]))))
    return ('<h2>%s</h2><div class=scroll><svg viewBox="0 0 %d %d" role="img" aria-label="%s">%s'
            '</svg></div>'
            % (html.escape(title), WIDTH, HEIGHT * len(shown) + 4, html.escape(title),
               "".join(bars)))


def _row(row, chosen, columns):
    cells = table.cells(row, chosen)
    outside = "" if row.get("within") is not False else "<small>%s</small>" % table.OUTSIDE
    first = "<td>%s%s</td>" % (html.escape(cells[0]), outside)
    if row.get("error"):
        return '<tr>%s<td class="why" colspan="%d">%s</td></tr>' % (
            first, columns - 1, html.escape(cells[1]))
    return '<tr class="%s">%s%s</tr>' % (_mark(row, chosen), first, "".join(
        "<td>%s</td>" % html.escape(c) for c in cells[1:-1]))


def _facts(facts):
    return "<dl>%s</dl>" % "".join("<dt>%s</dt><dd>%s</dd>" % (html.escape(k), html.escape(v))
                                   for k, v in facts.items())


def document(name, verdict, rows, chosen, instances, facts):
    heads = [h.format(n=instances).capitalize() for h in table.HEADS[:-1]]
    head = "".join("<th>%s</th>" % html.escape(h) for h in heads)
    body = "".join(_row(r, chosen, len(heads)) for r in rows)
    charts = "".join((
        _chart("Answers per second, %d instances" % instances, rows, chosen, "throughput",
               lambda v: "%.1f/s" % v),
        _chart("Latency with one client (shorter is better)", rows, chosen, "latency_ms",
               lambda v: "%.1f ms" % v),
        _chart("Memory of the workers (shorter is better)", rows, chosen, "memory",
               table.mebibytes)))
    return ("<!doctype html><html lang=en><meta charset=utf-8>"
            '<meta name=viewport content="width=device-width, initial-scale=1">'
            "<title>%s, optimized</title><style>%s</style><h1>%s</h1><p>%s</p>"
            "<div class=scroll><table><thead><tr>%s</tr></thead><tbody>%s</tbody></table></div>"
            "%s<h2>How it was measured</h2>%s</html>\n"
            % (html.escape(name), STYLE, html.escape(name), html.escape(verdict), head, body,
               charts, _facts(facts)))
