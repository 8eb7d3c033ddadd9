# SPDX-License-Identifier: Apache-2.0
"""A worker process: `python -m sconce.worker --fd 3`, or forked by sconce.zygote; with `--rank`
one of several processes that are a worker together (sconce.ranks).

Says HELLO, is told by LOAD which model it is, loads the handler, says LOADED, and serves.
"""

import os
import sys
from json import dumps, loads    # a handler may put others in their place

from sconce import frame as wire
from sconce import loader, logs, metrics, model_config, serving, trial
from sconce.channel import Channel, Closed
from sconce.memory import Memory

_ASYNC_CREDITS = 64
_MESSAGE_MAX = 1000        # characters, which JSON may make six bytes each; a frame holds 64 KiB
_TRACEBACK_MAX = 5000


def _send_json(channel, kind, arg, document):
    channel.send(wire.frame(kind, arg, dumps(document).encode()))


def _prefer_to_die():
    """When memory runs out, a worker can be replaced; the front cannot."""
    try:
        with open("/proc/self/oom_score_adj", "w") as f:
            f.write("500")
    except OSError:
        pass


def _prepare_output():
    """What a handler prints of a request may be no text: JSON has ways to write half a character.
    Printing that is no reason for its batch to fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
        except (AttributeError, ValueError):
            pass


def _wait_for_load(channel, memory):
    while True:
        kind, _count, arg, data, size, fds = channel.receive()
        if kind == wire.SEGMENT and len(fds) == 1:
            memory.add_segment(arg, wire.read_u64(data, wire.HEAD, size), fds[0])
        elif kind == wire.LOAD and len(fds) == 2:
            memory.set_outbound(fds[0])
            try:
                return loads(os.pread(fds[1], arg, 0))
            finally:
                os.close(fds[1])
        elif kind == wire.STOP:
            raise Closed()


def _make_context(load):
    from ts.context import Context

    context = Context(load["model_name"], load["model_dir"], load.get("manifest") or {},
                      load["batch_size"], load.get("gpu_id"), "0.12.0",
                      limit_max_image_pixels=load.get("limit_max_image_pixels", True),
                      model_yaml_config=model_config.read(load))
    for key in ("id", "start", "end"):
        name = load.get("header_key_sequence_" + key)
        if name:
            setattr(context, "header_key_sequence_" + key, name)
    context.declared_metrics = load.get("model_metrics")
    return context


def _prepare(load):
    for name in serving.THREAD_VARIABLES:
        os.environ.setdefault(name, str(load.get("threads") or 1))
    os.chdir(load["model_dir"])
    # Our own packages first, so that our `ts` wins over an installed one.
    packages = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [packages] + [p for p in sys.path if p not in (packages, "")]


def _load(load):
    logs.request_ids = load.get("log_request_id", False)
    logs.records = load.get("log_records", False)
    logs.model = load["model_name"]
    # `sconce dev` names a handler where it lies.
    logs.folder = (os.path.dirname(load["handler"]) if os.path.isabs(load["handler"])
                   else load["model_dir"])
    _prepare(load)
    context = _make_context(load)
    serving.tune(load.get("threads") or 0)
    entry = loader.load(load["handler"], load["model_dir"], context, load.get("envelope") or "")
    return entry, context


def _traceback(error):
    """What the front logs, once for all workers that fail alike."""
    if isinstance(error, loader.LoadError):
        return ""       # says it all
    try:
        text = logs.traceback_of(error)
    except Exception:
        return ""
    return text if len(text) <= _TRACEBACK_MAX else "..." + text[-_TRACEBACK_MAX:]


def _report_failure(channel, error):
    text = logs.text_of(error)
    memory = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "CUDA" in text)
    plain = isinstance(error, loader.LoadError)
    message = ("System out of memory" if memory
               else text if plain else logs.cause_of(error, logs.folder))
    if len(message) > _MESSAGE_MAX:
        message = message[:_MESSAGE_MAX] + "..."
    report = {"message": message, "traceback": _traceback(error)}
    # Lone surrogates are not for JSON.
    report = {key: value.encode("utf-8", "replace").decode() for key, value in report.items()}
    _send_json(channel, wire.LOADED, 507 if memory else 500, report)


def _loop(load, entry, rank):
    """The module whose serve() fits the handler, and how many batches it takes at a time."""
    # A decorator may hide a coroutine function.
    hidden = load.get("async") and not load.get("continuous_batching")
    if loader.is_coroutine(entry) or hidden:
        from sconce import aserving
        return aserving, _ASYNC_CREDITS
    if load.get("continuous_batching") and rank:
        from sconce import ranks
        return ranks, 1
    if load.get("continuous_batching"):
        from sconce import continuous
        # The next request of a sequence may begin while the one before it still streams.
        return continuous, load["batch_size"] * (2 if load.get("sequence_batching") else 1)
    return serving, 1


def _open(fd, rank):
    if rank is None:
        return Channel(fd), Memory()
    from sconce import ranks
    return ranks.join(fd, rank)


def _leave(channel, memory):
    """In a process that a handler has forked: it is not the worker, whatever it returns to or
    raises, and only the worker answers."""
    metrics.disconnect()
    channel.leave()
    memory.leave()
    if serving.session:
        serving.session.replies.leave()
    aserving = sys.modules.get("sconce.aserving")
    if aserving:
        aserving.leave()


def run(fd, rank=None):
    """The whole life of a worker; returns its exit code."""
    _prefer_to_die()
    _prepare_output()
    logs.configure()
    channel, memory = _open(fd, rank)
    metrics.connect(channel)
    os.register_at_fork(after_in_child=lambda: _leave(channel, memory))
    _send_json(channel, wire.HELLO, 0, {
        "protocol": wire.PROTOCOL, "pid": os.getpid(), "runtime": "python",
        "version": "%d.%d.%d" % sys.version_info[:3]})
    try:
        load = _wait_for_load(channel, memory)
    except Closed:
        return 0
    if load.get("dev"):
        from sconce import dev
        dev.install()
    if rank and load["gpu_id"] is not None:
        load["gpu_id"] = rank      # all see the same GPUs, each uses its own
    trial.lost = load.get("optimized_lost", "")
    if not rank:       # of several processes one speaks for all
        trial.tell = lambda trying: channel.send(wire.frame(wire.TRYING, int(trying), b""))
    try:
        entry, context = _load(load)
        if load.get("dev"):
            dev.remember()
        channel.ready()
    except Exception as e:
        # What a peer reports goes to rank 0, which tells one sentence; who writes the handler
        # reads its terminal.
        if rank or load.get("dev"):
            logs.complain("", e)
        _report_failure(channel, e)
        return 1
    session = serving.Session(channel, memory, load, entry, context)
    loop, credits = _loop(load, entry, rank)
    _send_json(channel, wire.LOADED, 200, {
        "message": "loaded model " + load["model_name"], "async": loop is not serving,
        "credits": credits,
        "imports": [name for name in ("torch", "numpy") if name in sys.modules]})
    loop.serve(session)
    channel.finish()
    return 0


def _life(fd, rank):
    """run(), with an exit code for what a handler has raised to end the process."""
    try:
        return run(fd, rank)
    except SystemExit as e:
        if e.code is None or isinstance(e.code, int):
            return (e.code or 0) & 0xff
        logs.complain(logs.text_of(e))
    except BaseException as e:
        logs.complain("", e)
    return 1


def main(arguments):
    fd = int(arguments[arguments.index("--fd") + 1]) if "--fd" in arguments else 3
    rank = int(arguments[arguments.index("--rank") + 1]) if "--rank" in arguments else None
    code = _life(fd, rank)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass    # a handler has closed it
    # Handlers may have left threads and atexit hooks that hang; nothing here needs them.
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
