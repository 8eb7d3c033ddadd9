# SPDX-License-Identifier: Apache-2.0
"""Courses of autoscalers as SVG: a band for each, with the pods that the load keeps busy (grey),
those that were ready (line) or still starting (thin), and ticks where answers were late or
refused. Plain text, no library."""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, BAND, GAP, TOP = 760, 46, 12, 92, 30, 54
INK, DIM, LOAD, READY, ASKED, BAD = "#1f2328", "#656d76", "#d0d7de", "#0969da", "#8fb8e8", "#cf222e"
POINTS = 240


def thinned(values, pick):
    """At most POINTS values, each picked from its share of the seconds."""
    step = max(len(values) / POINTS, 1)
    n = round(len(values) / step)
    return [pick(values[int(i * step):max(int((i + 1) * step), int(i * step) + 1)])
            for i in range(n)]


class Band:
    def __init__(self, top, seconds, most):
        self.top, self.seconds, self.most = top, seconds, most

    def x(self, second):
        return LEFT + (WIDTH - LEFT - RIGHT) * second / self.seconds

    def y(self, pods):
        return self.top + BAND * (1 - pods / self.most)

    def points(self, values, steps):
        """A path; only where it changes."""
        step, out, last, same = self.seconds / len(values), [], None, 0
        for i, value in enumerate(values):
            x, y = f"{self.x(i * step):.0f}", f"{self.y(value):.1f}"
            same += 1
            if value == last:
                continue
            if last is None:
                out.append(f"M{x} {y}")
            elif steps:
                out.append(f"H{x}V{y}")
            else:
                level = f"H{self.x((i - 1) * step):.0f}" if same > 1 else ""
                out.append(f"{level}L{x} {y}")
            last, same = value, 0
        return "".join(out) + f"H{WIDTH - RIGHT}"


def text(x, y, words, size=11, fill=DIM, anchor="start", weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{fill}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>')


def grid(band, last):
    lines = []
    for pods in (0, band.most // 2, band.most):
        y = band.y(pods)
        lines += [f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{LOAD}" stroke-width=".6"/>',
                  text(LEFT - 6, y + 4, str(pods), anchor="end")]
    for minute in range(0, band.seconds // 60 + 1, 5 if band.seconds <= 3600 else 20):
        if last:
            lines.append(text(band.x(60 * minute), band.top + BAND + 14, str(minute),
                              anchor="middle"))
    return lines


def draw_band(band, name, course, busy):
    # What is even over a share of the seconds stays; peaks of the load do, too.
    load = [round(busy(rate), 1) for rate in thinned(course.load, max)]
    bad = thinned(course.misses, sum)
    worst = max(max(bad), 1)
    area = band.points(load, False)
    lines = [f'<path d="M{LEFT} {band.y(0):.1f}L{area[1:]}V{band.y(0):.1f}Z" fill="{LOAD}"/>',
             f'<path d="{band.points(thinned(course.pods, max), True)}" fill="none" '
             f'stroke="{ASKED}" stroke-width="1"/>',
             f'<path d="{band.points(thinned(course.ready, max), True)}" fill="none" '
             f'stroke="{READY}" stroke-width="1.8"/>']
    ticks = "".join(f"M{band.x((i + .5) * band.seconds / len(bad)):.0f} {band.top + BAND}"
                    f"v-{4 + 14 * n / worst:.0f}" for i, n in enumerate(bad) if n)
    if ticks:
        lines.append(f'<path d="{ticks}" stroke="{BAD}" stroke-width="1.6"/>')
    missed = f"{100 * course.missed():.1f} % late or refused"
    return [*lines, text(LEFT, band.top - 6, name, 12, INK, weight="600"),
            text(WIDTH - RIGHT, band.top - 6, missed, 12, BAD if course.missed() > .01 else DIM,
                 "end")]


def key():
    x, out = LEFT, []
    for colour, words, width in ((LOAD, "pods that the load keeps busy", 8),
                                 (READY, "ready", 2), (ASKED, "asked for", 1.4),
                                 (BAD, "late or refused answers", 2)):
        out += [f'<path d="M{x} 34h16" stroke="{colour}" stroke-width="{width}"/>',
                text(x + 22, 38, words)]
        x += 44 + 6.3 * len(words)
    return out


def draw(courses, busy, title):
    """`courses`: by name; `busy`: requests a second → pods that they keep busy."""
    seconds = max(len(c.load) for c in courses.values())
    most = max(max(max(c.pods), max(map(busy, c.load))) for c in courses.values())
    most += most % 2
    height = TOP + len(courses) * (BAND + GAP) + 18
    lines = [text(LEFT, 18, title, 14, INK, weight="600"), *key()]
    for i, (name, course) in enumerate(courses.items()):
        band = Band(TOP + 14 + i * (BAND + GAP), seconds, int(most))
        lines += [*grid(band, i == len(courses) - 1), *draw_band(band, name, course, busy)]
    lines.append(text(WIDTH - RIGHT, height - 2, "minutes", anchor="end"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif">\n'
            f'<title>{escape(title)}</title>\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
            + "\n".join(lines) + "\n</svg>\n")
