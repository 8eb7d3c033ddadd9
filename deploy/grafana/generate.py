#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the dashboards beside this file: generate.py [--check]

They are made from Python so that a query can name only what docs/metrics.md, docs/metrics.yaml and
the recording rules list. Change a dashboard here, run this, and commit both."""

import argparse
import json
import sys
from pathlib import Path

from classic import classic
from panels import ORANGE, RED, bars, dashboard, graph, heat, stat, table, variable

FOLDER = Path(__file__).resolve().parent
J = 'job=~"$job"'
I = 'job=~"$job", instance=~"$instance"'                                        # noqa: E741
M = 'job=~"$job", instance=~"$instance", model_name=~"$model", model_version=~"$version"'
R = "[$__rate_interval]"

JOB = variable("job", "Job", "sconce_build_info, job")
INSTANCE = variable("instance", "Instance", f"sconce_build_info{{{J}}}, instance")
MODEL = variable("model", "Model", f"sconce_workers{{{I}}}, model_name")
ONE_MODEL = variable("model", "Model", f"sconce_workers{{{I}}}, model_name", False, False)
VERSION = variable("version", "Version",
                   f'sconce_workers{{{I}, model_name=~"$model"}}, model_version')

BUSY = ((0.7, ORANGE), (0.9, RED))
WAIT = ((0.5, ORANGE), (1, RED))
ERRORS = ((0.001, ORANGE), (0.01, RED))
ANY = ((1, RED),)


def percentile(q, by, where, family="sconce_request_duration_seconds"):
    labels = f"{by}, le" if by else "le"
    return (f"histogram_quantile({q}, sum by ({labels}) "
            f"(rate({family}_bucket{{{where}}}{R})))")


def mean(family, by, where):
    over = f"sum by ({by})" if by else "sum"
    return (f"{over} (rate({family}_sum{{{where}}}{R})) / "
            f"{over} (rate({family}_count{{{where}}}{R}))")


def share_of_errors(by, where):
    over = f"sum by ({by})" if by else "sum"
    return (f'{over} (rate(sconce_answers_total{{{where}, code="5xx"}}{R})) / '
            f"{over} (rate(sconce_answers_total{{{where}}}{R}))")


def utilization(by, where):
    over = f"sum by ({by})" if by else "sum"
    return (f"{over} (rate(sconce_worker_busy_seconds_total{{{where}}}{R})) / "
            f"{over} (avg_over_time(sconce_workers_ready{{{where}}}{R}))")


def rate(family, by, where):
    return f"sum by ({by}) (rate({family}{{{where}}}{R}))"


# ---- overview ----

def overview_glance():
    return [
        (stat("Servers", "Servers that answer their scrape.", f"sum(up{{{J}}})",
              noValue="none"), 3),
        (stat("Requests", "Answers a second, of any status.",
              f"sum(rate(sconce_answers_total{{{M}}}{R}))", "reqps"), 3),
        (stat("Errors", "Share of answers that are 5xx. The budget of the alerts is 0.1 %.",
              share_of_errors("", M), "percentunit", ERRORS, decimals=2), 3),
        (stat("p99", "99 of 100 requests are faster, from receipt to the last byte.",
              percentile(0.99, "", M), "s", WAIT), 3),
        (stat("Wait now", "The longest that a request would wait for a worker now.",
              f"max(sconce_queue_wait_seconds{{{M}}})", "s", WAIT), 3),
        (stat("Workers busy", "Share of the workers' time with a batch.",
              utilization("", M), "percentunit", BUSY, decimals=0), 3),
        (stat("Workers missing", "Workers wanted that are not ready.",
              f"sum(sconce_workers{{{M}}}) - sum(sconce_workers_ready{{{M}}})", limits=ANY), 3),
        (stat("Models failed", "Versions that do not load, or whose workers were given up.",
              f'sum(sconce_model_versions{{{I}, state="failed"}})', limits=ANY), 3),
    ]


def overview_requests():
    return [
        (graph("Requests", "Answers a second, by model.",
               (rate("sconce_answers_total", "model_name", M), "{{model_name}}"),
               unit="reqps", stack=True), 8),
        (graph("p99", "From receipt to the last byte of the answer, by model.",
               (percentile(0.99, "model_name", M), "{{model_name}}"), unit="s"), 8),
        (graph("Errors", "Share of answers that are 5xx, by model.",
               (share_of_errors("model_name", M), "{{model_name}}"),
               unit="percentunit", limits=((0.001, ORANGE), (0.01, RED))), 8),
    ]


def overview_load():
    return [
        (graph("Workers busy", "Share of the workers' time with a batch: what to scale by. "
               "Beyond 90 % waiting grows quickly.",
               (utilization("model_name", M), "{{model_name}}"),
               unit="percentunit", limits=BUSY, max=1), 8),
        (graph("Wait for a worker", "Predicted for a request that came now: the mean of the "
               "servers.",
               (f"avg by (model_name) (sconce_queue_wait_seconds{{{M}}})", "{{model_name}}"),
               unit="s", limits=WAIT), 8),
        (graph("Not answered as asked", "Requests a second that were refused, timed out, or "
               "whose client left.",
               (rate("sconce_requests_refused_total", "model_name", M), "refused {{model_name}}"),
               (rate("sconce_request_timeouts_total", "model_name", M), "timeout {{model_name}}"),
               (rate("sconce_requests_cancelled_total", "model_name", M),
                "client left {{model_name}}"), unit="reqps"), 8),
    ]


def overview_servers():
    return [
        (bars("Memory budget", "Requests and replies, of memory_budget. What does not fit is "
              "refused.",
              f"sconce_memory_used_bytes{{{I}}} / sconce_memory_budget_bytes{{{I}}}",
              "{{instance}}", limits=((0.7, ORANGE), (0.85, RED)), min=0, max=1), 8),
        (graph("Loop stalls, p99.9", "How long the server did not look at its sockets. More than "
               "100 ms is an alert.",
               (percentile(0.999, "instance", I, "sconce_loop_stall_seconds"), "{{instance}}"),
               unit="s", limits=((0.1, RED),)), 8),
        (table("Servers", "Versions, and when each was started.",
               {"instance": "Instance", "version": "Version"},
               (f"sum by (instance, version) (sconce_build_info{{{I}}})", "Up", "none", None),
               (f"time() - max by (instance) (sconce_start_time_seconds{{{I}}})", "For", "s",
                None),
               (f"max by (instance) (sconce_connections{{{I}}})", "Connections", "none", None)),
         8),
    ]


def overview():
    by = "model_name, model_version"
    models = [(table(
        "Models", "As of now. A click on a name opens its dashboard.",
        {"model_name": "Model", "model_version": "Version"},
        (rate("sconce_answers_total", by, M), "Requests", "reqps", None),
        (percentile(0.5, by, M), "p50", "s", None),
        (percentile(0.99, by, M), "p99", "s", WAIT),
        (share_of_errors(by, M), "Errors", "percentunit", ERRORS),
        (utilization(by, M), "Busy", "percentunit", BUSY),
        (f"max by ({by}) (sconce_queue_wait_seconds{{{M}}})", "Wait", "s", WAIT),
        (f"sum by ({by}) (sconce_workers_ready{{{M}}})", "Ready", "none", None),
        (f"sum by ({by}) (sconce_workers{{{M}}})", "Wanted", "none", None)), 24)]
    return dashboard("sconce-overview", "sconce: overview",
                     "All servers and models: is anybody waiting, and for what?",
                     [JOB, INSTANCE, MODEL, VERSION],
                     [("At a glance", 4, overview_glance()), ("Requests", 8, overview_requests()),
                      ("Load", 8, overview_load()),
                      ("Models", 8, models), ("Servers", 8, overview_servers())])


# ---- one model ----

def model_glance():
    return [
        (stat("Requests", "Answers a second.", f"sum(rate(sconce_answers_total{{{M}}}{R}))",
              "reqps"), 4),
        (stat("p50", "Half of the requests are faster.", percentile(0.5, "", M), "s"), 4),
        (stat("p99", "99 of 100 requests are faster.", percentile(0.99, "", M), "s", WAIT), 4),
        (stat("Errors", "Share of answers that are 5xx.", share_of_errors("", M), "percentunit",
              ERRORS, decimals=2), 4),
        (stat("Workers busy", "Share of the workers' time with a batch.", utilization("", M),
              "percentunit", BUSY, decimals=0), 4),
        (stat("Wait now", "Predicted for a request that came now, on the fullest server.",
              f"max(sconce_queue_wait_seconds{{{M}}})", "s", WAIT), 4),
    ]


def model_latency():
    return [
        (graph("Latency", "From receipt to the last byte of the answer. The dots are recent "
               "requests: their id finds them in the logs.",
               (percentile(0.5, "", M), "p50"), (percentile(0.95, "", M), "p95"),
               (percentile(0.99, "", M), "p99"), unit="s", exemplars=True), 8),
        (heat("All durations", "How many requests took how long.",
              f"sum by (le) (increase(sconce_request_duration_seconds_bucket{{{M}}}{R}))", "s"), 8),
        (graph("Where the time goes", "Means: in the queue, and from there to the last byte.",
               (mean("sconce_queue_duration_seconds", "", M), "waiting"),
               (f"{mean('sconce_request_duration_seconds', '', M)} - "
                f"({mean('sconce_queue_duration_seconds', '', M)})", "running"),
               unit="s", stack=True), 8),
        (graph("Answers", "A second, by class of status. A stream that broke and a request that "
               "ran out of time are 5xx.",
               (rate("sconce_answers_total", "code", M), "{{code}}"), unit="reqps", stack=True), 8),
        (graph("No answer", "Requests a second that were refused, timed out, or whose client left.",
               (f"sum(rate(sconce_requests_refused_total{{{M}}}{R}))", "refused"),
               (f"sum(rate(sconce_request_timeouts_total{{{M}}}{R}))", "timed out"),
               (f"sum(rate(sconce_requests_cancelled_total{{{M}}}{R}))", "client left"),
               unit="reqps"), 8),
        (graph("Latency goal", "Answers a second that began too late, and requests refused "
               "because theirs would have. Only with latency_goal_ms.",
               (f"sum(rate(sconce_latency_goal_misses_total{{{M}}}{R}))", "missed"),
               (f"sum(rate(sconce_latency_goal_refusals_total{{{M}}}{R}))", "refused"),
               unit="reqps"), 8),
    ]


def model_queue():
    return [
        (graph("Waiting", "Requests in the queue now, and what fits (job_queue_size).",
               (f"sum by (instance) (sconce_queue_depth{{{M}}})", "{{instance}}"),
               (f"min(sconce_queue_limit{{{M}}})", "limit of a server")), 8),
        (graph("Wait for a worker", "Predicted from the queue, what runs and the learnt time of a "
               "batch; and what requests did wait.",
               (f"max(sconce_queue_wait_seconds{{{M}}})", "predicted, fullest server"),
               (f"avg(sconce_queue_wait_seconds{{{M}}})", "predicted, mean"),
               (percentile(0.95, "", M, "sconce_queue_duration_seconds"), "waited, p95"),
               unit="s", limits=WAIT), 8),
        (heat("All waits", "How many requests waited how long.",
              f"sum by (le) (increase(sconce_queue_duration_seconds_bucket{{{M}}}{R}))", "s"), 8),
    ]


def model_batches():
    return [
        (graph("Batch size", "Mean of the calls of the handler.",
               (mean("sconce_batch_size", "instance", M), "{{instance}}")), 8),
        (heat("All batches", "How many calls had how many requests.",
              f"sum by (le) (increase(sconce_batch_size_bucket{{{M}}}{R}))", "short"), 8),
        (graph("Time of a batch", "Learnt: a fixed part, and a part for each request. Where the "
               "fixed part is most of it, batches pay.",
               (f"avg(sconce_batch_seconds{{{M}}})", "fixed"),
               (f"avg(sconce_batch_request_seconds{{{M}}})", "each request"), unit="s"), 8),
    ]


def model_workers():
    return [
        (graph("Workers", "Wanted, ready, and with a batch now.",
               (f"sum(sconce_workers{{{M}}})", "wanted"),
               (f"sum(sconce_workers_ready{{{M}}})", "ready"),
               (f"sum(rate(sconce_worker_busy_seconds_total{{{M}}}{R}))", "busy, mean")), 8),
        (graph("Workers busy", "Share of their time with a batch, by server.",
               (utilization("instance", M), "{{instance}}"), unit="percentunit", limits=BUSY,
               max=1), 8),
        (graph("Trouble", "In the last hour: workers that ended, workers that did not load, and "
               "requests run once more because their worker died.",
               (f"sum(increase(sconce_worker_restarts_total{{{M}}}[1h]))", "restarts"),
               (f"sum(increase(sconce_worker_start_failures_total{{{M}}}[1h]))", "did not load"),
               (f"sum(increase(sconce_request_retries_total{{{M}}}[1h]))", "retries"),
               limits=ANY), 8),
        (table("Versions", "As of now. A worker that starts takes as long as the last one did.",
               {"model_version": "Version", "instance": "Instance"},
               (f"sum by (instance, model_version) (sconce_workers_ready{{{M}}})", "Ready",
                "none", None),
               (f"sum by (instance, model_version) (sconce_workers{{{M}}})", "Wanted", "none",
                None),
               (f"sum by (instance, model_version) (sconce_workers_busy{{{M}}})", "Busy", "short",
                None),
               (f"max by (instance, model_version) (sconce_worker_load_seconds{{{M}}})", "Load",
                "s", None),
               (f"max by (instance, model_version) (sconce_latency_goal_seconds{{{M}}})", "Goal",
                "s", None)), 24),
    ]


def one_model():
    return dashboard("sconce-model", "sconce: one model",
                     "Where the time of a model's requests goes.",
                     [JOB, INSTANCE, ONE_MODEL, VERSION],
                     [("At a glance", 4, model_glance()),
                      ("Latency and answers", 9, model_latency()), ("Queue", 9, model_queue()),
                      ("Batches", 9, model_batches()), ("Workers", 9, model_workers())])


# ---- workers and hosts ----

def workers_workers():
    return [
        (graph("Workers ready", "By server, stacked; the dashed line is what is wanted of all.",
               (f"sum by (instance) (sconce_workers_ready{{{M}}})", "{{instance}}"),
               stack=True), 8),
        (graph("Workers missing", "Wanted, but not ready, by server and model.",
               (f"sum by (instance, model_name) (sconce_workers{{{M}}} - "
                f"sconce_workers_ready{{{M}}})", "{{instance}} {{model_name}}"),
               limits=ANY), 8),
        (graph("Workers busy", "Share of their time with a batch, by server.",
               (utilization("instance", M), "{{instance}}"), unit="percentunit", limits=BUSY,
               max=1), 8),
        (graph("Ends of workers", "In the last hour, by model: crashes, kills, answers too late.",
               (f"sum by (instance, model_name) (increase(sconce_worker_restarts_total{{{M}}}"
                "[1h]))", "{{instance}} {{model_name}}"), limits=ANY), 8),
        (graph("Starts that failed", "In the last hour, by model: it could not be loaded.",
               (f"sum by (instance, model_name) (increase("
                f"sconce_worker_start_failures_total{{{M}}}[1h]))",
                "{{instance}} {{model_name}}"), limits=ANY), 8),
        (bars("Time to load", "What the last worker took to load its model: a cold start.",
              f"max by (model_name) (sconce_worker_load_seconds{{{M}}})", "{{model_name}}", "s",
              min=0), 8),
        (graph("States of models", "Versions by state, over all servers.",
               (f"sum by (state) (sconce_model_versions{{{I}}})", "{{state}}"), stack=True), 12),
        (graph("Expiry of keys", "Time left until a key of token authorization expires. Empty "
               "where there are none.",
               (f"sconce_token_expiry_timestamp_seconds{{{I}}} - time()",
                "{{instance}} {{token}}"), unit="s", min=None), 12),
    ]


def workers_server():
    return [
        (graph("CPU of the server", "Without its workers. One core is 1.",
               (f"rate(sconce_cpu_seconds_total{{{I}}}{R})", "{{instance}}")), 8),
        (graph("Memory of the server", "Resident, without its workers.",
               (f"sconce_resident_memory_bytes{{{I}}}", "{{instance}}"), unit="bytes"), 8),
        (heat("Turns of the loop", "How long the server did not look at its sockets. What is "
              "above 100 ms is felt by all clients.",
              f"sum by (le) (increase(sconce_loop_stall_seconds_bucket{{{I}}}{R}))", "s"), 8),
        (graph("Memory budget", "Bodies of requests and replies; what does not fit is refused.",
               (f"sconce_memory_used_bytes{{{I}}}", "used {{instance}}"),
               (f"sconce_memory_peak_bytes{{{I}}}", "most ever {{instance}}"),
               (f"sconce_memory_budget_bytes{{{I}}}", "budget {{instance}}"), unit="bytes"), 8),
        (graph("Refused for memory", "A second.",
               (f"rate(sconce_memory_refused_total{{{I}}}{R})", "{{instance}}"), unit="reqps",
               limits=((0.001, RED),)), 8),
        (graph("Pool of bodies", "Shared memory: mapped, and holding a body now; and segments.",
               (f"sconce_pool_mapped_bytes{{{I}}}", "mapped {{instance}}"),
               (f"sconce_pool_used_bytes{{{I}}}", "used {{instance}}"),
               (f"sconce_pool_mapped_bytes{{{I}}} / sconce_pool_segments{{{I}}}",
                "of a segment {{instance}}"), unit="bytes"), 8),
        (graph("Connections", "Open now, and new ones a second: many new ones beside few open are "
               "clients without keep-alive.",
               (f"sconce_connections{{{I}}}", "open {{instance}}"),
               (f"rate(sconce_connections_total{{{I}}}{R})", "new {{instance}}")), 6),
        (graph("Connections and requests turned away", "A second: beyond max_connections, no file "
               "to be had, no HTTP, or too slow.",
               (f"rate(sconce_connections_refused_total{{{I}}}{R})", "refused {{instance}}"),
               (f"rate(sconce_accept_failures_total{{{I}}}{R})", "no file {{instance}}"),
               (f"rate(sconce_requests_malformed_total{{{I}}}{R})", "malformed {{instance}}"),
               (f"rate(sconce_connection_timeouts_total{{{I}}}{R})", "too slow {{instance}}"),
               unit="cps"), 6),
        (graph("Lost", "A second: lines of logs, and series of metrics.",
               (f"rate(sconce_log_lines_dropped_total{{{I}}}{R})", "lines {{instance}}"),
               (f"rate(sconce_metric_series_dropped_total{{{I}}}{R})", "series {{instance}}"),
               limits=((0.001, RED),)), 6),
        (graph("Spans of traces", "A second: taken by the collector, dropped, and batches that it "
               "did not take.",
               (f"rate(sconce_trace_spans_sent_total{{{I}}}{R})", "sent {{instance}}"),
               (f"rate(sconce_trace_spans_dropped_total{{{I}}}{R})", "dropped {{instance}}"),
               (f"rate(sconce_trace_export_failures_total{{{I}}}{R})", "failed {{instance}}")), 6),
    ]


def workers_host():
    return [
        (graph("CPU of the host", "All processes. Needs metrics_mode=prometheus, as this row does.",
               (f"CPUUtilization{{{I}}}", "{{instance}}"), unit="percent", max=100,
               limits=((80, ORANGE), (95, RED))), 8),
        (graph("Memory of the host", "Used, of all there is.",
               (f"MemoryUtilization{{{I}}}", "{{instance}}"), unit="percent", max=100,
               limits=((80, ORANGE), (95, RED))), 8),
        (graph("Disk of the host", "Used, of the root file system.",
               (f"DiskUtilization{{{I}}}", "{{instance}}"), unit="percent", max=100,
               limits=((80, ORANGE), (95, RED))), 8),
    ]


def workers_and_hosts():
    return dashboard("sconce-workers", "sconce: workers and hosts",
                     "Processes and machines: who died, what is short.",
                     [JOB, INSTANCE, MODEL, VERSION],
                     [("Workers", 8, workers_workers()), ("The server", 8, workers_server()),
                      ("The host", 8, workers_host())])


# ---- GPUs ----

def gpus():
    use = f"sconce_gpu_memory_used_bytes{{{I}}} / sconce_gpu_memory_bytes{{{I}}}"
    glance = [
        (stat("GPUs", "That workers may be given.", f"sum(sconce_gpus{{{I}}})"), 4),
        (stat("Give figures", "GPUs that the vendor's tool tells of (nvidia-smi).",
              f"count(sconce_gpu_memory_bytes{{{I}}})", noValue="0"), 4),
        (stat("Busy", "Mean of all.", f"avg(sconce_gpu_utilization_ratio{{{I}}})", "percentunit",
              decimals=0), 4),
        (stat("Fullest", "Memory used, of the one with the least left.", f"max({use})",
              "percentunit", ((0.85, ORANGE), (0.95, RED)), decimals=0), 4),
        (stat("Memory used", "Of all.", f"sum(sconce_gpu_memory_used_bytes{{{I}}})", "bytes"), 4),
        (stat("Workers busy", "Share of all workers' time with a batch: GPUs that are idle while "
              "workers are busy wait for the processor.", utilization("", I), "percentunit", BUSY,
              decimals=0), 4),
    ]
    over_time = [
        (graph("Busy", "Share of the time with a kernel running, by GPU. It says nothing of how "
               "full the GPU is meanwhile.",
               (f"sconce_gpu_utilization_ratio{{{I}}}", "{{instance}} {{device}}"),
               unit="percentunit", max=1), 12),
        (graph("Memory", "Share that is used, by GPU.", (use, "{{instance}} {{device}}"),
               unit="percentunit", max=1, limits=((0.85, ORANGE), (0.95, RED))), 12),
        (graph("Memory in bytes", "Used by anybody, by GPU.",
               (f"sconce_gpu_memory_used_bytes{{{I}}}", "{{instance}} {{device}}"), unit="bytes"),
         12),
        (graph("Busy, beside workers", "Where GPUs idle while workers are busy, preparing inputs "
               "is what takes the time: pipelines, batches, more workers per GPU.",
               (f"avg(sconce_gpu_utilization_ratio{{{I}}})", "GPUs"),
               (utilization("", I), "workers"), unit="percentunit", max=1), 12),
    ]
    now = [(table("GPUs", "As of now.", {"instance": "Instance", "device": "GPU"},
                  (f"sum by (instance, device) (sconce_gpu_utilization_ratio{{{I}}})", "Busy",
                   "percentunit", None),
                  (f"sum by (instance, device) (sconce_gpu_memory_used_bytes{{{I}}})", "Used",
                   "bytes", None),
                  (f"sum by (instance, device) (sconce_gpu_memory_bytes{{{I}}})", "Has", "bytes",
                   None)), 24)]
    return dashboard("sconce-gpus", "sconce: GPUs", "Figures of nvidia-smi, as old as "
                     "metric_time_interval.", [JOB, INSTANCE],
                     [("At a glance", 4, glance), ("Over time", 9, over_time), ("Each", 7, now)])


DASHBOARDS = {"overview": overview, "model": one_model, "workers": workers_and_hosts,
              "gpus": gpus, "torchserve": classic}


def text_of(made):
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Writes the dashboards beside this file.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1: one is not as made")
    check, stale = parser.parse_args().check, []
    for name, make in DASHBOARDS.items():
        path, text = FOLDER / f"{name}.json", text_of(make())
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(text)
    print("changed: " + ", ".join(stale) if stale else "all as they are made")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
