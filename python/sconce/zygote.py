# SPDX-License-Identifier: Apache-2.0
"""A process that has imported what workers need and forks one for every SPAWN frame.

`python -m sconce.zygote --fd 3 [--preload torch]`. The worker is a grandchild whose parent ends
at once, so the front, a child subreaper, becomes its parent. Single-threaded: forking with
threads is not safe, so a module that starts some is not preloaded by anybody else than the
worker itself.
"""

import gc
import importlib
import json
import os
import signal
import sys

import ctypes

from sconce import frame as wire
from sconce import worker
from sconce.channel import Channel, Closed

import ts.context  # noqa: F401  (imported here so that workers find it in memory)
import ts.utils.util  # noqa: F401

_PR_SET_PDEATHSIG = 1


def _threads():
    return len(os.listdir("/proc/self/task"))


def _preload(names):
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as e:
            print("%s is not preloaded: %s" % (name, e), file=sys.stderr)
    if _threads() > 1:
        print("%s started threads: workers are not forked from it" % ", ".join(names),
              file=sys.stderr)
        sys.exit(3)


def _reseed():
    """What was seeded when it was imported would draw the same numbers in every worker. Python's
    own `random` sees to itself."""
    numpy = sys.modules.get("numpy.random")
    if numpy:
        numpy.seed()
    torch = sys.modules.get("torch")
    if torch:
        torch.default_generator.seed()    # those of GPUs are made later, in the worker


def _has_another(folder):
    """Does a model bring a package of its own of which there is another here already? What asks
    for packages has them in its folder."""
    known = {"ts", "sconce", "__main__", *getattr(sys, "stdlib_module_names", ())}
    for entry in os.listdir(folder):
        name, _, suffix = entry.partition(".")
        module = None if name in known else sys.modules.get(name)
        if module is None or (getattr(module, "__file__", None) or "").startswith(folder + os.sep):
            continue
        if suffix.endswith(("py", "so")) or os.path.exists(
                os.path.join(folder, name, "__init__.py")):
            return True
    return False


def _become_worker(order, fds, adopted):
    """In the grandchild. `adopted`: end-of-file there means that the front is our parent by
    now; only then does "the parent" in PR_SET_PDEATHSIG mean the front."""
    os.read(adopted, 1)
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    stdout, stderr, channel = (os.dup(fd) for fd in fds)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.dup2(channel, 3)
    os.closerange(4, max(fds + (stdout, stderr, channel)) + 64)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    if _has_another(order["cwd"]):
        os.execv(sys.executable, [sys.executable, "-m", "sconce.worker", "--fd", "3"])
    for path in reversed(os.environ.get("PYTHONPATH", "").split(":")[1:]):
        if path and path not in sys.path:
            sys.path.insert(1, path)
    _reseed()
    worker.main(["--fd", "3"])


def _fork_again(order, fds, writer, adopted):
    """In the child: makes the grandchild, tells its pid and ends. Nothing of it may return."""
    grandchild = -1
    try:
        grandchild = os.fork()
        if grandchild:
            os.write(writer, b"%d" % grandchild)     # to nobody, where the zygote has ended
    finally:
        if grandchild:
            os._exit(grandchild < 0)
    os.close(writer)
    try:
        _become_worker(order, fds, adopted)
    except BaseException:
        import traceback
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


def _fork(order, fds):
    """Forks twice; returns the grandchild's pid, 0 if there is none.

    A process that ends closes its files before its children get their new parent, and those
    that have asked for PDEATHSIG by then are killed. So it is the zygote that gives the sign,
    when it has waited for the one between."""
    reader, writer = os.pipe()
    adopted, not_yet = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.close(not_yet)
            _fork_again(order, fds, writer, adopted)
        os.close(writer)
        writer = -1
        pid = int(os.read(reader, 32) or b"0")
        os.waitpid(child, 0)
    finally:
        for fd in (reader, writer, adopted, not_yet):
            if fd >= 0:
                os.close(fd)
    return pid


def _spawn(channel, data, size, fds):
    order = json.loads(bytes(data[wire.HEAD:size]))
    error = ""
    pid = 0
    try:
        pid = _fork(order, fds)
        error = "" if pid else "the second fork failed"
    except OSError as e:
        error = str(e)
    for fd in fds:
        os.close(fd)
    answer = json.dumps({"token": order["token"], "error": error}).encode()
    channel.send(wire.frame(wire.SPAWNED, pid, answer))


def main(arguments):
    fd = int(arguments[arguments.index("--fd") + 1])
    names = []
    if "--preload" in arguments:
        names = arguments[arguments.index("--preload") + 1].split(",")
    _preload(names)
    channel = Channel(fd)
    gc.collect()
    gc.freeze()
    try:
        while True:
            kind, _count, _arg, data, size, fds = channel.receive()
            if kind == wire.SPAWN and len(fds) == 3:
                _spawn(channel, data, size, fds)
            elif kind == wire.STOP:
                break
    except Closed:
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
