# SPDX-License-Identifier: Apache-2.0
"""Gives a worker processors of its own, then becomes it.

`python -m sconce.cpu_launcher --workers 4 --worker 0 --options "--ncores_per_instance 2" -- …`
takes the options that torch.backends.xeon.run_cpu has, of which TorchServe's cpu_launcher_args
consists, and ends as `python -m sconce.worker …`. Torch is not needed for it. Memory comes from
the node of the processors that touch it first, as the kernel does it by itself.
"""

import argparse
import glob
import os
import re
import shlex
import sys

_LIBRARIES = (sys.prefix + "/lib", "/usr/local/lib", "/usr/lib64", "/usr/lib",
              "/usr/lib/%s-linux-gnu" % os.uname().machine, os.path.expanduser("~/.local/lib"))
_WITHOUT_EFFECT = ("--multi_instance", "--no_python", "--module")


def read_list(text):
    """The numbers of a list like 0-3,8."""
    numbers = []
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if part:
            numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def _read(path, otherwise):
    try:
        with open(path) as f:
            return read_list(f.read().strip())
    except (OSError, ValueError):
        return otherwise


def topology(allowed, root="/sys/devices/system"):
    """Of the allowed processors: a list of nodes, each a list of cores, each a list of its
    processors."""
    left = set(allowed)
    lists = {int(re.search(r"(\d+)/cpulist$", path).group(1)): _read(path, [])
             for path in glob.glob(root + "/node/node*/cpulist")}
    nodes = []
    for _, cpus in sorted(lists.items()) or [(0, sorted(left))]:
        cores = []
        for cpu in cpus:
            siblings = _read("%s/cpu/cpu%d/topology/thread_siblings_list" % (root, cpu), [cpu])
            core = [s for s in siblings if s in left]
            left.difference_update(core)
            if core:
                cores.append(core)
        nodes.append(cores)
    return nodes


def parse(text):
    """cpu_launcher_args; dashes and underscores are the same."""
    words = []
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            word = re.sub(r"(?<=\w)-", "_", name) + equals + value
        words.append(word)
    p = argparse.ArgumentParser(prog="cpu_launcher_args", add_help=False, allow_abbrev=False)
    for name in ("ninstances", "ncores_per_instance", "node_id", "rank"):
        p.add_argument("--" + name, type=int, default=-1)
    p.add_argument("--core_list", type=read_list, default=[])
    for name in ("use_logical_core", "skip_cross_node_cores", "latency_mode", "throughput_mode",
                 "disable_numactl", "disable_taskset", "disable_iomp", "enable_tcmalloc",
                 "enable_jemalloc", "use_default_allocator"):
        p.add_argument("--" + name, action="store_true")
    options, unknown = p.parse_known_args(words)
    unknown = [w for w in unknown if w.startswith("-") and w not in _WITHOUT_EFFECT]
    if unknown:
        print("cpu_launcher_args: without effect: %s" % " ".join(unknown), file=sys.stderr)
    return options


def _units(options, nodes):
    """The processors to share out, node by node: one of each core, or all."""
    if options.core_list:
        return [[cpu for core in node for cpu in core if cpu in options.core_list]
                for node in nodes]
    if options.node_id >= 0:
        if options.node_id >= len(nodes):
            raise ValueError("there is no node %d" % options.node_id)
        nodes = [nodes[options.node_id]]
    rest = [[cpu for core in node for cpu in core[1:]] for node in nodes]
    return [[core[0] for core in node] + (more if options.use_logical_core else [])
            for node, more in zip(nodes, rest)]


def choose(options, nodes, workers, worker):
    """The processors of a worker. More workers than fit share them, in turn."""
    units = [unit for unit in _units(options, nodes) if unit]
    if not units:
        raise ValueError("none of these processors may be used")
    everything = [cpu for unit in units for cpu in unit]
    if options.ninstances > 0:
        workers = options.ninstances
    size = options.ncores_per_instance
    if size <= 0:
        size = 4 if options.latency_mode else max(len(everything) // workers, 1)
    if options.throughput_mode:
        blocks = units
    else:
        blocks = [unit[i:i + size]
                  for unit in (units if options.skip_cross_node_cores else [everything])
                  for i in range(0, len(unit) - size + 1, size)]
    if not blocks:
        raise ValueError("%d processors for one worker are more than there are" % size)
    return blocks[(options.rank if options.rank >= 0 else worker) % len(blocks)]


def _library(name):
    found = [path for folder in _LIBRARIES
             for path in sorted(glob.glob("%s/lib%s.so*" % (folder, name)))]
    return found[0] if found else None


def _preloads(options):
    wanted = [] if options.disable_iomp else ["iomp5"]
    allocators = [n for n, on in (("tcmalloc", options.enable_tcmalloc),
                                  ("jemalloc", options.enable_jemalloc)) if on]
    found = [path for path in map(_library, wanted) if path]
    if options.use_default_allocator:
        return found
    libraries = [path for path in map(_library, allocators or ("tcmalloc", "jemalloc")) if path]
    if allocators and not libraries:
        print("cpu_launcher_args: lib%s.so was not found" % allocators[0], file=sys.stderr)
    return found + libraries[:1]


def prepare(options, cpus, environment):
    """Changes the environment for a worker with these processors; what the user has set stays."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment.setdefault(name, str(len(cpus)))
    preloads = _preloads(options)
    if any("iomp5" in path for path in preloads):
        environment.setdefault("KMP_AFFINITY", "granularity=fine,compact,1,0")
        environment.setdefault("KMP_BLOCKTIME", "1")
    if preloads:
        environment["LD_PRELOAD"] = ":".join(
            preloads + [p for p in (environment.get("LD_PRELOAD"),) if p])


def main(arguments):
    split = arguments.index("--")
    given = dict(zip(arguments[:split:2], arguments[1:split:2]))
    try:
        options = parse(given["--options"])
        cpus = choose(options, topology(os.sched_getaffinity(0)), int(given["--workers"]),
                      int(given["--worker"]))
    except ValueError as e:
        sys.exit("cpu_launcher_args: %s" % e)
    if not (options.disable_numactl and options.disable_taskset):
        os.sched_setaffinity(0, cpus)
    prepare(options, cpus, os.environ)
    print("Runs on processors %s" % ",".join(map(str, cpus)), flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "sconce.worker"] + arguments[split + 1:])


if __name__ == "__main__":
    main(sys.argv[1:])
