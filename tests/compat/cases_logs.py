# SPDX-License-Identifier: Apache-2.0
"""Log files: their names, and the form of the lines that other programs read."""

import re

from compat.case import Do, cases_for, get, post
from e2e.server import eventually

case = cases_for("combined")

WORKER = re.compile(r"W-\d+-")


def line_of(file, word, also="", **more):
    """The first line of a log that has the words, without what changes from call to call."""
    def line(server):
        path = server.root / "logs" / file
        lines = eventually(lambda: [one for one in path.read_text().splitlines()
                                    if word in one and also in one]
                           if path.exists() else None, f"{word} in {file} of {server.name}", 10)
        text = re.sub(r"^\S+ ", "<time> ", lines[0])
        text = re.sub(r"\] \S+ (?=ACCESS_LOG|TS_METRICS|MODEL_METRICS)", "] <thread> ", text)
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>", text)
        text = re.sub(r"(timestamp:|HTTP/1.1\" \d+ )\d+", r"\1<n>", text)
        return re.sub(r":[\d.E-]+\|", ":<value>|", WORKER.sub("W-<n>-", text))
    line.__name__ = f"{word} in {file}"
    return Do(line, **more)


def files(server):
    return sorted(path.name for path in (server.root / "logs").iterdir() if path.is_file())


WITH_ID = {"differs": {"ids-in-lines": "body"}}
CASES = [
    case("access log", get("/ping?logged=1"),
         line_of("access_log.log", "/ping?logged=1", **WITH_ID),
         get("/nothing?logged=2"), line_of("access_log.log", "/nothing?logged=2", **WITH_ID),
         post("/predictions/see?logged=3", "x", look=len),
         line_of("access_log.log", "/predictions/see?logged=3", **WITH_ID)),
    case("metrics of the server in logs", *(line_of("ts_metrics.log", name) for name in (
        "Requests2XX", "Requests4XX", "ts_inference_requests_total", "QueueTime",
        "ts_queue_latency_microseconds", "ts_inference_latency_microseconds",
        "WorkerThreadTime")), line_of("ts_metrics.log", "WorkerLoadTime", also="measure_1.0")),
    case("metrics of handlers in logs", post("/predictions/measure", "x"),
         *(line_of("model_metrics.log", name) for name in (
             "Visits", "Phase", "Weight", "Share", "Spread", "PredictionTime")),
         line_of("model_metrics.log", "CacheFill", differs={"metrics-without-request": "body"})),
    case("log files", Do(files)),
]
