# SPDX-License-Identifier: Apache-2.0
"""The figures as a table of text."""

HEADS = ("CANDIDATE", "1 CLIENT", "{n} INSTANCES", "MEMORY", "LOAD", "DIFFERENCE", "TOP-1", "")


OUTSIDE = "outside the tolerance"


def number(value, pattern, missing="-"):
    return missing if value is None else pattern % value


def mebibytes(value):
    return number(None if value is None else value / (1 << 20), "%.0f MiB")


def cells(row, chosen):
    if row.get("error"):
        return [row["title"], row["error"]]
    note = "chosen" if chosen and row["name"] == chosen["name"] else (
        OUTSIDE if row.get("within") is False else "")
    latency = row.get("latency_ms")
    return [row["title"],
            number(latency, "%.1f ms") if latency else "%.1f ms *" % row["model_ms"],
            number(row.get("throughput"), "%.1f/s"), mebibytes(row.get("memory")),
            number(row.get("load_s"), "%.2f s"), "%.1e" % row["difference"],
            number(None if row.get("agreement") is None else 100 * row["agreement"], "%.1f %%"),
            note]


def text(rows, chosen, instances):
    heads = [h.format(n=instances) for h in HEADS]
    lines = [heads] + [cells(r, chosen) for r in rows]
    whole = [line for line in lines if len(line) == len(heads)]
    widths = [max(len(line[i]) for line in whole) for i in range(len(heads))]
    widths[0] = max(len(line[0]) for line in lines)
    out = []
    for line in lines:
        if len(line) == len(heads):
            padded = [line[0].ljust(widths[0])] + [
                c.rjust(w) for c, w in zip(line[1:-1], widths[1:])] + [line[-1]]
        else:
            padded = [line[0].ljust(widths[0]), line[1]]
        out.append("  ".join(padded).rstrip())
    if any(not r.get("error") and r.get("latency_ms") is None for r in rows):
        out.append("* the model alone, without a server; the fastest of its calls")
    return "\n".join(out)
