# SPDX-License-Identifier: Apache-2.0
"""The dashboard of TorchServe's names: for who comes from there, and for both side by side. It
needs metrics_mode=prometheus, as TorchServe does."""

from panels import ORANGE, RED, dashboard, graph, stat, variable

H = 'job=~"$job", instance=~"$instance"'
M = f'{H}, model_name=~"$model"'
R = "[$__rate_interval]"
FULL = ((80, ORANGE), (95, RED))


def each(metric, where=H):
    """A gauge as it is, by instance."""
    return f"{metric}{{{where}}}", "{{instance}}"


def mean_us(latency):
    return (f"sum by (model_name) (rate({latency}{{{M}}}{R})) / "
            f"sum by (model_name) (rate(ts_inference_requests_total{{{M}}}{R}))",
            "{{model_name}}")


def classic():
    job = variable("job", "Job", "Requests2XX, job")
    instance = variable("instance", "Instance", 'Requests2XX{job=~"$job"}, instance')
    model = variable("model", "Model", f"ts_inference_requests_total{{{H}}}, model_name")
    glance = [
        (stat("Requests", "Inference requests a second.",
              f"sum(rate(ts_inference_requests_total{{{M}}}{R}))", "reqps"), 6),
        (stat("2XX", "Answers a second, of any listener.", f"sum(rate(Requests2XX{{{H}}}{R}))",
              "reqps"), 6),
        (stat("4XX", "Answers a second, of any listener.", f"sum(rate(Requests4XX{{{H}}}{R}))",
              "reqps"), 6),
        (stat("5XX", "Answers a second, of any listener.", f"sum(rate(Requests5XX{{{H}}}{R}))",
              "reqps", ((0.001, RED),)), 6),
    ]
    inference = [
        (graph("Inference requests", "A second, by model and version.",
               (f"sum by (model_name, model_version) "
                f"(rate(ts_inference_requests_total{{{M}}}{R}))",
                "{{model_name}} {{model_version}}"), unit="reqps", stack=True), 8),
        (graph("Inference latency", "Mean, by model: ts_inference_latency_microseconds over "
               "requests.", mean_us("ts_inference_latency_microseconds"), unit="µs"), 8),
        (graph("Queue latency", "Mean, by model: ts_queue_latency_microseconds over requests.",
               mean_us("ts_queue_latency_microseconds"), unit="µs"), 8),
        (graph("QueueTime", "Of the last request.", each("QueueTime"), unit="ms"), 8),
        (graph("WorkerThreadTime", "Of the last request: what the server took, beside the handler.",
               each("WorkerThreadTime"), unit="ms"), 8),
        (graph("WorkerLoadTime", "What each worker took to load its model.",
               (f"WorkerLoadTime{{{H}}}", "{{WorkerName}}"), unit="ms"), 8),
        (graph("PredictionTime", "Of the last call of the handler, by model.",
               (f'PredictionTime{{{H}, ModelName=~"$model"}}', "{{instance}} {{ModelName}}"),
               unit="ms"), 12),
        (graph("HandlerTime", "Of the last batch, by model; handlers derived from BaseHandler "
               "send it.",
               (f'HandlerTime{{{H}, ModelName=~"$model"}}', "{{instance}} {{ModelName}}"),
               unit="ms"), 12),
    ]
    host = [
        (graph("CPUUtilization", "Of the host.", each("CPUUtilization"), unit="percent", max=100,
               limits=FULL), 8),
        (graph("MemoryUtilization", "Of the host.", each("MemoryUtilization"), unit="percent",
               max=100, limits=FULL), 8),
        (graph("DiskUtilization", "Of the root file system.", each("DiskUtilization"),
               unit="percent", max=100, limits=FULL), 8),
        (graph("Memory", "Of the host.", (f"MemoryUsed{{{H}}}", "used {{instance}}"),
               (f"MemoryAvailable{{{H}}}", "available {{instance}}"), unit="mbytes"), 12),
        (graph("Disk", "The root file system.", (f"DiskUsage{{{H}}}", "used {{instance}}"),
               (f"DiskAvailable{{{H}}}", "available {{instance}}"), unit="gbytes"), 12),
    ]
    gpus = [
        (graph("GPUUtilization", "By GPU.",
               (f"GPUUtilization{{{H}}}", "{{instance}} {{DeviceId}}"), unit="percent", max=100),
         8),
        (graph("GPUMemoryUtilization", "By GPU.",
               (f"GPUMemoryUtilization{{{H}}}", "{{instance}} {{DeviceId}}"), unit="percent",
               max=100, limits=FULL), 8),
        (graph("GPUMemoryUsed", "By GPU.",
               (f"GPUMemoryUsed{{{H}}}", "{{instance}} {{DeviceId}}"), unit="mbytes"), 8),
    ]
    return dashboard("sconce-torchserve", "sconce: TorchServe's metrics",
                     "TorchServe's classic names, from sconce or from TorchServe itself "
                     "(metrics_mode=prometheus).", [job, instance, model],
                     [("Answers", 4, glance), ("Inference", 8, inference), ("The host", 8, host),
                      ("GPUs", 8, gpus)])
