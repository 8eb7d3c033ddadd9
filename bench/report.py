# SPDX-License-Identifier: Apache-2.0
"""Turns samples into a table: medians with minimum and maximum, and ratios within a round."""

import datetime
import os
import platform
from pathlib import Path
from statistics import median

HEAD = ("", "sconce", "TorchServe tuned", "as installed", "ratio", "wanted")


def number(value, metric):
    return f"{value:,.{metric.digits}f}"


def spread(values, metric):
    if not values:
        return "–"
    text = number(median(values), metric)
    if len(values) > 1:
        text += f" ({number(min(values), metric)}–{number(max(values), metric)})"
    return text


class Results:
    """Samples of one scenario: server → round → what it measured."""

    def __init__(self, name, scenario):
        self.name, self.scenario = name, scenario
        self.samples = {}

    def add(self, server, sample):
        self.samples.setdefault(server, []).append(sample)

    def values(self, server, metric):
        return [sample[metric.key] for sample in self.samples.get(server, ())]

    def best_peer(self, metric):
        """TorchServe in whichever of its two shapes is better."""
        peers = [name for name in self.samples if name.startswith("torchserve")]
        choose = max if metric.more else min
        return choose(peers, key=lambda name: median(self.values(name, metric)), default=None)

    def ratio(self, metric):
        """How many times better than TorchServe at its best, or None."""
        peer = self.best_peer(metric)
        if not peer or "sconce" not in self.samples:
            return None
        pairs = zip(self.values("sconce", metric), self.values(peer, metric))
        ratios = [ours / theirs if metric.more else theirs / ours
                  for ours, theirs in pairs if ours and theirs]
        return median(ratios) if ratios else None

    def row(self, metric):
        cells = [spread(self.values(name, metric), metric)
                 for name in ("sconce", "torchserve-tuned", "torchserve")]
        ratio = self.ratio(metric)
        return (metric.title, *cells, f"× {ratio:.1f}" if ratio else "–", self.wanted(metric))

    def wanted(self, metric):
        if not metric.wanted:
            return ""
        text = f"{'≥' if metric.more else '≤'} {number(metric.wanted, metric)}"
        ours = self.values("sconce", metric)
        if not ours:
            return text
        reached = (median(ours) >= metric.wanted) if metric.more else \
            (median(ours) <= metric.wanted)
        return text + (": yes" if reached else ": no")

    def remarks(self):
        for server, samples in self.samples.items():
            failed = sum(sample["failed"] for sample in samples)
            disturbed = sum(sample["disturbed"] for sample in samples)
            if failed:
                yield f"{self.name}: {failed} requests failed on {server}"
            if disturbed:
                yield (f"{self.name}: {disturbed} of {len(samples)} rounds of {server} were "
                       "disturbed by other programs")

    def rows(self):
        yield (f"**{self.name}**: {self.scenario.title}", "", "", "", "", "")
        for metric in self.scenario.metrics:
            yield self.row(metric)


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def table(all_results):
    rows = [HEAD, *(row for results in all_results for row in results.rows())]
    widths = [max(len(row[i]) for row in rows if row is HEAD or row[1]) for i in range(len(HEAD))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
             for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def document(all_results, rounds, seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    lines = [f"# Measured on {now:%Y-%m-%d %H:%M} UTC", "",
             f"{cpu_model()}, {os.cpu_count()} cores, Linux {platform.release()}; client and "
             f"servers on the same machine. {rounds} rounds of {seconds} s, interleaved; medians "
             "with minimum and maximum. The ratio is the median of the rounds' ratios to "
             "TorchServe tuned or as installed, whichever is better.", "", table(all_results)]
    remarks = [remark for results in all_results for remark in results.remarks()]
    if remarks:
        lines += ["", *(f"- {remark}" for remark in remarks)]
    return "\n".join(lines) + "\n"
