#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs each fuzz target of a build for a while, from the corpus in tests/fuzz/corpus/<what>.

Inputs that reach new code are kept in .cache/fuzz/<what>; one that breaks something is left in
.cache/fuzz as crash-…: add it to the corpus with the fix.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def fuzz(target, seconds):
    what = target.name[len("fuzz_"):]
    found = ROOT / ".cache" / "fuzz" / what
    found.mkdir(parents=True, exist_ok=True)
    corpus = ROOT / "tests" / "fuzz" / "corpus" / what
    command = [str(target.resolve()), f"-max_total_time={seconds}", "-timeout=10",
               "-print_final_stats=1", f"-artifact_prefix={found.parent}/", str(found)]
    done = subprocess.run(command + [str(corpus)] * corpus.exists(), check=False,
                          capture_output=True, text=True, errors="replace")
    stats = dict(re.findall(r"^stat::(\w+):\s+(\d+)", done.stderr, re.M))
    print(f"{what}: {stats.get('number_of_executed_units', '?')} runs, "
          f"{stats.get('new_units_added', '?')} new inputs", flush=True)
    if done.returncode:
        print(done.stderr[-20000:])
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path, help="build directory made with -Dfuzz=true")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--only", default="", help="part of a target's name")
    options = parser.parse_args()
    targets = [path for path in sorted(options.build.glob("tests/fuzz/fuzz_*"))
               if path.is_file() and options.only in path.name]
    if not targets:
        sys.exit(f"no fuzz targets in {options.build}")
    broken = [path.name for path in targets if not fuzz(path, options.seconds)]
    print(f"{len(targets)} targets, broken: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
