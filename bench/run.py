#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures sconce beside TorchServe on this machine, round by round, each in turn.

    bench/run.py --only noop1,ping --rounds 5 --server sconce
"""

import argparse
import datetime
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH.parent / "tools"))

from report import Results, document  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402
from servers import SERVERS  # noqa: E402


def names(kind, known):
    def parse(text):
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"no such {kind}: {', '.join(unknown)}; there are {', '.join(known)}")
        return chosen
    return parse


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=names("scenario", SCENARIOS), default=list(SCENARIOS),
                        metavar="SCENARIO,…", help="of: " + ", ".join(SCENARIOS))
    parser.add_argument("--server", type=names("server", SERVERS), default=list(SERVERS),
                        metavar="SERVER,…", help="of: " + ", ".join(SERVERS))
    parser.add_argument("--rounds", type=int, default=5, help="for each server (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="of load in a round (default 5)")
    options = parser.parse_args()
    for name in options.server:
        missing = SERVERS[name].installed()
        if missing:
            parser.error(missing)
    return options


def taking_part(scenario, wanted):
    return [SERVERS[name]() for name in wanted if name == "sconce" or name in scenario.peers]


def run(name, options):
    """All rounds of one scenario; the order of the servers turns with each."""
    scenario = SCENARIOS[name]
    results = Results(name, scenario)
    servers = taking_part(scenario, options.server)
    try:
        for server in servers:
            scenario.begin(server)
        for turn in range(options.rounds):
            first = turn % len(servers)
            for server in servers[first:] + servers[:first]:
                results.add(server.name, scenario.measure(server, options.seconds))
    finally:
        scenario.end()
        for server in servers:
            server.stop()
    return results


def main():
    options = arguments()
    done, broken = [], []
    for name in options.only:
        print(f"{name}: {SCENARIOS[name].title}", file=sys.stderr, flush=True)
        try:
            results = run(name, options)
        except (AssertionError, OSError, RuntimeError, TimeoutError) as e:
            print(f"    could not be measured: {e!r}", file=sys.stderr, flush=True)
            broken.append(name)
            continue
        for row in list(results.rows())[1:]:
            print("    " + "  ".join(cell for cell in row if cell), file=sys.stderr, flush=True)
        done.append(results)
    if not done:
        return 1
    text = document(done, options.rounds, options.seconds)
    print(text, end="")
    folder = BENCH / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}.md"
    path.write_text(text)
    print(f"\nKept in {path.relative_to(BENCH.parent)}")
    if broken:
        print(f"Not measured: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
