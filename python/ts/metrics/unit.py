# SPDX-License-Identifier: Apache-2.0
"""Short names of units, spelled out."""

NAMES = {"ms": "Milliseconds", "s": "Seconds", "percent": "Percent", "count": "Count",
         "MB": "Megabytes", "GB": "Gigabytes", "kB": "Kilobytes", "B": "Bytes",
         "": "unit", None: "unit"}


class Units:
    def __init__(self):
        self.units = dict(NAMES)
