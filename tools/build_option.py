#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what a build folder was set up with: tools/build_option.py BUILD NAME"""

import json
import subprocess
import sys


def value(folder, name):
    done = subprocess.run(["meson", "introspect", folder, "--buildoptions"], check=True,
                          stdout=subprocess.PIPE)
    return {option["name"]: option["value"] for option in json.loads(done.stdout)}[name]


if __name__ == "__main__":
    print(value(*sys.argv[1:]))
