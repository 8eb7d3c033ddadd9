# SPDX-License-Identifier: Apache-2.0
"""The machine's figures, as metrics that whoever calls collects. The server reads its own."""

import os
import subprocess
import types

from ts.metrics.dimension import Dimension
from ts.metrics.metric import Metric

_MB = 1024.0 * 1024
_GB = 1024.0 * _MB

system_metrics = []      # what the functions below have added
dimension = [Dimension("Level", "Host")]

_last_times = None


def _add(name, value, unit, dimensions=None):
    system_metrics.append(Metric(name, value, unit, dimensions or dimension))


def _times():
    """Time that all processors have spent, and have spent idle."""
    with open("/proc/stat") as f:
        fields = [int(word) for word in f.readline().split()[1:9]]
    return sum(fields), fields[3] + fields[4]


def _memory():
    """(total, available) in bytes."""
    with open("/proc/meminfo") as f:
        fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in f}
    return fields["MemTotal"], fields.get("MemAvailable", fields["MemFree"])


def _disk():
    """(used, available) of the root file system, in bytes; what is kept for root is neither."""
    status = os.statvfs("/")
    return ((status.f_blocks - status.f_bfree) * status.f_frsize,
            status.f_bavail * status.f_frsize)


def _percent(part, whole):
    return round(100.0 * part / whole, 1) if whole > 0 else 0.0


def cpu_utilization():
    """Since the last call; the first one says 0."""
    global _last_times
    now = _times()
    total, idle = (a - b for a, b in zip(now, _last_times or now))
    _last_times = now
    _add("CPUUtilization", min(max(_percent(total - idle, total), 0.0), 100.0), "percent")


def memory_used():
    total, available = _memory()
    _add("MemoryUsed", (total - available) / _MB, "MB")


def memory_available():
    _add("MemoryAvailable", _memory()[1] / _MB, "MB")


def memory_utilization():
    total, available = _memory()
    _add("MemoryUtilization", _percent(total - available, total), "percent")


def disk_used():
    _add("DiskUsage", _disk()[0] / _GB, "GB")


def disk_utilization():
    used, available = _disk()
    _add("DiskUtilization", _percent(used, used + available), "percent")


def disk_available():
    _add("DiskAvailable", _disk()[1] / _GB, "GB")


def gpu_utilization(num_of_gpu):
    """Of NVIDIA's GPUs, by their own tool."""
    if not num_of_gpu or num_of_gpu <= 0:
        return
    lines = subprocess.run(
        ["nvidia-smi", "--query-gpu=index,memory.used,memory.total,utilization.gpu",
         "--format=csv,noheader,nounits"],
        check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout.splitlines()
    for line in lines:
        index, used, total, busy = [field.strip() for field in line.split(",")]
        dimensions = [Dimension("Level", "Host"), Dimension("device_id", index)]
        # A field that a GPU does not have is no number.
        if used.isdigit() and total.isdigit():
            _add("GPUMemoryUtilization", 100.0 * int(used) / max(int(total), 1), "percent",
                 dimensions)
            _add("GPUMemoryUsed", int(used), "MB", dimensions)
        if busy.isdigit():
            _add("GPUUtilization", int(busy), "percent", dimensions)


def collect_all(mod, num_of_gpu):
    """Calls each public function of the module `mod`, mostly this one, and logs what is there."""
    import logging

    for name, function in sorted(vars(mod).items()):
        if not isinstance(function, types.FunctionType) or name.startswith("_") or \
                function.__name__ in ("collect_all", "log_msg"):
            continue
        if function.__name__ == "gpu_utilization":
            function(num_of_gpu)
        else:
            function()
    for metric in system_metrics:
        logging.info(str(metric))
    logging.info("")
