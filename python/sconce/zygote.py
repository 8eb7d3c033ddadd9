# SPDX-License-Identifier: Apache-2.0
"""A process that has imported what workers need and forks one for every SPAWN frame.

`python -m sconce.zygote --fd 3 [--preload torch]`. The worker is a grandchild whose parent ends at once, so
the front, a child subreaper, becomes its parent. Single-threaded: forking with threads is not safe, so a
module that starts some is not preloaded by anybody else than the worker itself.
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


def _become_worker(order, fds, orphaned):
    """In the grandchild. `orphaned`: end-of-file there means that the parent between is gone; only
    then does "the parent" in PR_SET_PDEATHSIG mean the front."""
    os.read(orphaned, 1)
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    stdout, stderr, channel = (os.dup(fd) for fd in fds)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.dup2(channel, 3)
    os.closerange(4, max(fds + (stdout, stderr, channel)) + 64)
    os.set_inheritable(3, False)
    os.environ.clear()
    os.environ.update(order["environment"])
    for path in reversed(os.environ.get("PYTHONPATH", "").split(":")[1:]):
        if path and path not in sys.path:
            sys.path.insert(1, path)
    os.chdir(order["cwd"])
    worker.main(["--fd", "3"])


def _fork(order, fds):
    """Forks twice; returns the grandchild's pid."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        orphaned, parent_lives = os.pipe()
        grandchild = os.fork()
        if grandchild:
            os.write(writer, b"%d" % grandchild)
            os._exit(0)
        os.close(writer)
        os.close(parent_lives)
        code = 1
        try:
            _become_worker(order, fds, orphaned)
        except BaseException:
            import traceback
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    os.close(writer)
    pid = int(os.read(reader, 32) or b"0")
    os.close(reader)
    os.waitpid(child, 0)
    return pid


def _spawn(channel, data, size, fds):
    order = json.loads(bytes(data[wire.HEAD:size]))
    error = ""
    pid = 0
    try:
        pid = _fork(order, fds)
    except OSError as e:
        error = str(e)
    for fd in fds:
        os.close(fd)
    answer = json.dumps({"token": order["token"], "error": error}).encode()
    channel.send(wire.frame(wire.SPAWNED, pid, answer))


def main(arguments):
    fd = int(arguments[arguments.index("--fd") + 1])
    names = arguments[arguments.index("--preload") + 1].split(",") if "--preload" in arguments else []
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
