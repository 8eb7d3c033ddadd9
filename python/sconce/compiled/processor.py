# SPDX-License-Identifier: Apache-2.0
"""What this processor is called and has, as the kernel says."""


def _lines(prefixes):
    try:
        with open("/proc/cpuinfo") as f:
            return [line.partition(":")[2].strip() for line in f if line.startswith(prefixes)]
    except OSError:
        return []


def cpu_name():
    return next(iter(_lines(("model name",))), "")


def cpu_features():
    return set(next(iter(_lines(("flags", "Features"))), "").split())
