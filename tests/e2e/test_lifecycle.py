# SPDX-License-Identifier: Apache-2.0
"""Start, stop, recovery and scaling of a server that is being used."""

import os
import re
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from e2e.archives import make_mar
from e2e.client import encode
from e2e.gate import Gate, background
from e2e.server import assert_error, eventually, marked_processes


def refuses_connections(server):
    try:
        server.raw().close()
    except ConnectionError:
        return True
    return False


def test_sigterm_answers_what_was_accepted(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path)
    running = background(server.predict, "gate", gate.body(tag="running"))
    gate.wait_entered()
    queued = [background(server.predict, "gate", gate.body(tag=f"queued {i}", fifo=""))
              for i in range(3)]
    eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 3)
    with server.raw() as idle:
        idle.request("GET", "/ping")
        server.signal(signal.SIGTERM)
        assert idle.ended()
    eventually(lambda: refuses_connections(server), "the listener is closed")
    gate.open()
    for future in [running, *queued]:
        response = future.result()
        assert response.status_code == 200
        assert response.headers["connection"].lower() == "close"
    assert server.wait() == 0


def test_folders_may_be_named_from_where_it_is_started(serve, tmp_path):
    """Workers are in the folders of their models."""
    make_mar(tmp_path / "store", "echo", "echo.py")
    server = serve(root=tmp_path, tmp_dir="tmp", cache_dir="cache")
    assert server.predict("echo", "x").status_code == 200
    assert server.unpacked()


@pytest.mark.parametrize("kind", [resource.RLIMIT_FSIZE, resource.RLIMIT_AS], ids=["-f", "-v"])
def test_a_limit_on_files_or_addresses_is_no_end(serve, tmp_path, kind):
    """`ulimit`: what workers write answers to is a file to the kernel, and the server maps it."""
    mar = make_mar(tmp_path / "archives", "echo", "echo.py")
    server = serve(root=tmp_path, load_models=None, memory_budget="4g")
    pid = server.process.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    most = (200 << 20) + (pages * resource.getpagesize() if kind == resource.RLIMIT_AS else 0)
    resource.prlimit(pid, kind, (most, most))
    shutil.copy(mar, server.store)
    assert server.register("echo.mar", initial_workers=1, synchronous=True).status_code == 200
    assert server.predict("echo", "x").status_code == 200


def test_sigint_is_the_same(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)
    server.signal(signal.SIGINT)
    assert server.wait() == 0


def test_a_stop_waits_no_longer_for_a_model_that_is_being_unregistered(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path, drain_timeout=1)   # unregister_model_timeout is two minutes
    background(server.predict, "gate", gate.body())
    gate.wait_entered()
    background(server.manage, "DELETE", "/models/gate")
    eventually(lambda: not server.models(), "the model is out of the store")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "does not answer" not in server.console


def test_drain_timeout_bounds_the_wait(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path, drain_timeout=1)
    running = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    server.signal(signal.SIGTERM)
    assert server.wait(20) == 0
    with pytest.raises((requests.ConnectionError, AssertionError)):
        assert running.result().status_code == 200


def test_a_worker_that_was_sent_away_does_not_hold_up_the_end(serve, tmp_path, gate):
    """It may have been given unregister_model_timeout, which is longer than a server stops."""
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path, drain_timeout=0, unregister_model_timeout=600)
    background(server.predict, "gate", gate.body())
    gate.wait_entered()
    assert server.manage("PUT", "/models/gate?min_worker=0").status_code == 202
    eventually(lambda: not server.describe("gate")[0]["minWorkers"])
    server.signal(signal.SIGTERM)
    assert server.wait(timeout=60) == 0


def test_sigterm_while_models_load(serve, tmp_path, gate):
    make_mar(tmp_path, "slow", f'''
class Slow:
    def initialize(self, context):
        open({str(gate.calls)!r}, "a").write("x\\n")
        open({gate.fifo!r}, "rb").read()

    def handle(self, data, context):
        return data
''')
    server = serve(store=tmp_path, wait=False)
    gate.wait_entered()
    server.signal(signal.SIGTERM)
    assert server.wait(20) == 0


LATER_ONES_WAIT = """
import os

class Later:
    def initialize(self, context):
        try:
            os.mkdir({first!r})
        except FileExistsError:
            open({calls!r}, "a").write("x\\n")
            open({fifo!r}, "rb").read()

    def handle(self, data, context):
        return data
"""


def test_sigterm_does_not_wait_for_workers_that_are_waited_for(serve, tmp_path, gate):
    """Calls that wait for workers are answered at once; predictions are still answered."""
    loading = Gate(tmp_path, "loading")
    handler = LATER_ONES_WAIT.format(first=str(tmp_path / "first"), calls=str(loading.calls),
                                     fifo=loading.fifo)
    make_mar(tmp_path, "gate", "gate.py")
    make_mar(tmp_path, "later", handler)
    make_mar(tmp_path, "new", handler)
    server = serve(store=tmp_path, load_models="gate.mar,later.mar", drain_timeout=600,
                   no_config_snapshots=False)
    running = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    scaling = background(server.manage, "PUT", "/models/later?min_worker=2&synchronous=true")
    registering = background(server.manage, "POST",
                             "/models?url=new.mar&initial_workers=1&synchronous=true")
    loading.wait_entered(2)
    server.signal(signal.SIGTERM)
    assert_error(scaling.result(), 503, "ServiceUnavailableException",
                 "Failed to start workers for model later version: null: the server is stopping")
    assert_error(registering.result(), 503, "ServiceUnavailableException",
                 "The server is stopping, and the model is not registered")
    assert server.alive() and not running.done()
    gate.open()
    assert running.result().status_code == 200
    assert server.wait() == 0
    newest = max((server.logs / "config").glob("[0-9]*.cfg")).read_text()
    assert "later.mar" in newest and "new.mar" not in newest


def test_sigterm_does_not_wait_for_who_unregisters(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path, drain_timeout=600, unregister_model_timeout=600)
    running = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    leaving = background(server.manage, "DELETE", "/models/gate")
    eventually(lambda: not server.models())
    server.signal(signal.SIGTERM)
    assert_error(leaving.result(), 503, "ServiceUnavailableException",
                 'The server is stopping. Model "gate" is unregistered; what it had accepted is '
                 "still answered")
    gate.open()
    assert running.result().status_code == 200
    assert server.wait() == 0


HANGING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

int unlinkat(int folder, const char *name, int flags)
{
    int (*real)(int, const char *, int) = dlsym(RTLD_NEXT, "unlinkat");

    while (strstr(name, "/models/sconce-"))
        pause();
    return real(folder, name, flags);
}

char *realpath(const char *name, char *resolved)
{
    char *(*real)(const char *, char *) = dlsym(RTLD_NEXT, "realpath");

    while (strstr(name, "hanging.mar"))
        pause();
    return real(name, resolved);
}
"""


def preloaded(folder, text):
    """The environment of a server some of whose calls of the C library are those of `text`."""
    source, library = folder / "preloaded.c", folder / "preloaded.so"
    source.write_text(text)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": options.lstrip(":")}


def test_a_disk_that_hangs_does_not_hold_up_the_end(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    make_mar(tmp_path, "hanging", "echo.py")
    server = serve(store=tmp_path, load_models="echo.mar", unpack_stall_timeout=1,
                   no_config_snapshots=False, environment=preloaded(tmp_path, HANGING))
    assert server.predict("echo", b"x").status_code == 200
    registering = [background(server.manage, "POST", "/models?url=hanging.mar") for _ in range(6)]
    for future in registering:
        assert_error(future.result(), 500, "InternalServerException",
                     "What the archive's folder has could not be looked up in 1 s "
                     "(unpack_stall_timeout). Does its disk answer?")
    scaled = server.manage("PUT", "/models/echo?min_worker=1&synchronous=true")
    assert scaled.status_code == 200   # and a thread has recorded it
    left = set((server.root / "tmp" / "models").iterdir())
    server.signal(signal.SIGTERM)
    assert server.wait(60) == 1
    server.ended = True
    assert "A disk or a process does not answer" in server.log("ts_log.log")
    assert left == set((server.root / "tmp" / "models").iterdir())
    next_one = serve(store=tmp_path, tmp_dir=server.root / "tmp")
    eventually(lambda: not left & set((server.root / "tmp" / "models").iterdir()))
    next_one.stop()


HANGING_LOG = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t write(int fd, const void *bytes, size_t n)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    char place[64], name[4096] = "";

    snprintf(place, sizeof(place), "/proc/self/fd/%d", fd);
    if (readlink(place, name, sizeof(name) - 1) < 0)
        name[0] = 0;
    while (strstr(name, "/ts_log.log") && access(getenv("SCONCE_E2E_HANGS"), F_OK) == 0)
        usleep(10000);
    return real(fd, bytes, n);
}
"""


def test_a_disk_of_logs_that_hangs_does_not_hold_up_the_end(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    hangs = tmp_path / "hangs"
    server = serve(store=tmp_path, environment={
        **preloaded(tmp_path, HANGING_LOG), "SCONCE_E2E_HANGS": str(hangs)})
    hangs.touch()
    assert server.predict("echo", b"x").status_code == 200
    server.signal(signal.SIGTERM)
    assert server.wait(60) == -signal.SIGALRM
    server.ended = True


def test_sighup_reopens_the_logs(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)
    server.predict("echo", b"x")
    eventually(lambda: "/predictions/echo" in server.log("access_log.log"))
    for name in ("access_log.log", "ts_log.log"):
        (server.logs / name).rename(server.logs / f"{name}.old")
    server.signal(signal.SIGHUP)
    eventually(lambda: "logs reopened" in server.log("ts_log.log"))
    server.predict("echo", b"x")
    line = re.compile(r'/127\.0\.0\.1:\d+ "POST /predictions/echo HTTP/1\.1" 200 \d+ \S+$', re.M)
    eventually(lambda: line.search(server.log("access_log.log")))


def test_killed_worker_is_replaced(serve, tmp_path):
    make_mar(tmp_path, "count", "count.py")
    server = serve(store=tmp_path)
    pid, = server.worker_pids("count")
    assert server.predict("count", b"").json()["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    fresh = server.predict("count", b"").json()["pid"]
    assert fresh != pid
    eventually(lambda: server.worker_pids("count") == [fresh])
    worker, = server.describe("count")[0]["workers"]
    eventually(lambda: "Worker disconnected" in server.log("ts_log.log"))
    eventually(lambda: "Auto recovery start timestamp: " in server.log("ts_log.log"))
    eventually(lambda: f"Retry worker: {worker['id']} in " in server.log("ts_log.log"))
    eventually(lambda: "Auto recovery succeeded" in server.log("ts_log.log"))
    assert server.get("/ping").status_code == 200


def test_killed_zygote_is_replaced_and_its_workers_live_on(serve, tmp_path):
    make_mar(tmp_path, "count", "count.py")
    server = serve(store=tmp_path)
    pid = server.predict("count", b"").json()["pid"]
    zygote = [p for p, command in marked_processes(server.mark)
              if b"sconce.zygote" in command and p not in server.worker_pids("count")
              and parent_of(p) == server.process.pid]
    for p in zygote:
        os.kill(p, signal.SIGKILL)
    eventually(lambda: not {p for p, _ in marked_processes(server.mark)} & set(zygote))
    assert server.predict("count", b"").json()["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    assert server.predict("count", b"").json()["pid"] != pid


def parent_of(pid):
    return int(re.search(r"^PPid:\t(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def test_request_in_a_killed_worker_is_answered(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path)
    call = background(server.predict, "gate", gate.body(tag="kept"))
    gate.wait_entered()
    os.kill(server.worker_pids("gate")[0], signal.SIGKILL)
    gate.wait_entered(2)
    gate.open()
    assert call.result().json()["tag"] == "kept"
    assert gate.entries() == ["kept", "kept"]


def test_retry_can_be_switched_off(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path, retry=False)
    call = background(server.predict, "gate", gate.body(tag="once"))
    gate.wait_entered()
    os.kill(server.worker_pids("gate")[0], signal.SIGKILL)
    assert_error(call.result(), 507, "InternalServerException", "Worker died.")
    assert gate.entries() == ["once"]


def test_response_timeout_replaces_the_worker(serve, tmp_path):
    make_mar(tmp_path, "trouble", "trouble.py",
             config="minWorkers: 1\nmaxWorkers: 1\nresponseTimeout: 1\n")
    server = serve(store=tmp_path)
    pid, = server.worker_pids("trouble")
    stuck = background(server.predict, "trouble", "hang")
    behind = background(server.predict, "trouble", "behind")
    assert {stuck.result().status_code, behind.result().status_code} <= {200, 500}
    assert_error(stuck.result(), 500, "InternalServerException",
                 "Worker died. No answer in 1 s (responseTimeout).")
    assert behind.result().text == "behind"
    assert server.worker_pids("trouble") != [pid]


def test_startup_timeout(serve, tmp_path):
    make_mar(tmp_path, "slow", '''
import threading


def handle(data, context):
    if data is None:
        threading.Event().wait()
    return data
''')
    server = serve(store=tmp_path, load_models=None)
    response = server.register("slow.mar", initial_workers=1, startup_timeout=1)
    assert_error(response, 500, "InternalServerException",
                 "Failed to start workers for model slow version: 1.0. "
                 "it was not ready in 1 s (startupTimeout)")
    # Two lines, one right after the other, as TorchServe writes them.
    eventually(lambda: re.search(
        r"\[ERROR\] W-\d+-slow_1\.0 .* - Backend worker error\n.*"
        r"org\.pytorch\.serve\.wlm\.WorkerInitializationException: "
        r"Backend worker did not respond in given time", server.log("ts_log.log")))
    assert server.models() == []


def test_asynchronous_registration_of_what_cannot_load_is_tried_again(serve, tmp_path):
    """… until maxRetryTimeoutInSec, and stays there to be seen as failed."""
    flag = tmp_path / "broken"
    flag.touch()
    make_mar(tmp_path / "store", "later", f'''
import os


class Later:
    def initialize(self, context):
        if os.path.exists({str(flag)!r}):
            raise RuntimeError("not yet")

    def handle(self, data, context):
        return ["ok" for _ in data]
''')
    make_mar(tmp_path / "store", "never", "bad_init.py", config="maxRetryTimeoutInSec: 1\n")
    server = serve(store=tmp_path / "store", load_models=None)
    for name in ("later", "never"):
        assert server.register(f"{name}.mar", initial_workers=1,
                               synchronous="false").status_code == 202
    eventually(lambda: re.search(r"Retry worker: \d+ in \d+ seconds.*\n(.*\n)*.*Retry worker: ",
                                 server.log("ts_log.log")))
    assert server.models() == ["later", "never"]
    flag.unlink()
    eventually(lambda: server.model_ready("later"), 30)
    assert server.predict("later", b"x").text == "ok"
    eventually(lambda: [w["status"] for w in server.describe("never")[0]["workers"]] == ["FAILED"],
               lambda: server.describe("never"), 40)
    assert server.get("/ping").status_code == 500
    assert server.predict("never", b"x").status_code == 503


def test_ping_turns_unhealthy_when_recovery_gives_up(serve, tmp_path):
    flag = tmp_path / "broken"
    make_mar(tmp_path / "store", "flaky", f'''
import os


def handle(data, context):
    if os.path.exists({str(flag)!r}):
        os._exit(1)
    return data and ["ok" for _ in data]
''', config="minWorkers: 1\nmaxWorkers: 1\nmaxRetryTimeoutInSec: 1\n")
    server = serve(store=tmp_path / "store")
    assert server.get("/ping").text == '{\n  "status": "Healthy"\n}\n'
    flag.touch()
    os.kill(server.worker_pids("flaky")[0], signal.SIGKILL)
    waiting = background(server.predict, "flaky", b"x")
    eventually(lambda: server.get("/ping").status_code == 500)
    assert server.get("/ping").text == '{\n  "status": "Unhealthy"\n}\n'
    assert waiting.result(30).status_code == 503
    assert "has no worker to serve" in server.predict("flaky", b"x").json()["message"]
    flag.unlink()
    assert server.manage("PUT", "/models/flaky?min_worker=1&synchronous=true").status_code == 200
    assert server.get("/ping").status_code == 200
    assert server.predict("flaky", b"x").text == "ok"


def test_scaled_down_worker_finishes_its_request(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path, default_workers_per_model=2)
    calls = [background(server.predict, "gate", gate.body(tag=f"{i}")) for i in range(2)]
    gate.wait_entered(2)
    assert server.manage("PUT", "/models/gate?min_worker=1").status_code == 202
    gate.open()
    eventually(lambda: all(c.done() for c in calls) or _reopen(gate))
    assert sorted(c.result().json()["tag"] for c in calls) == ["0", "1"]
    assert sorted(gate.entries()) == ["0", "1"]
    eventually(lambda: len(server.describe("gate")[0]["workers"]) == 1)


def _reopen(gate):
    """Opening lets those go that wait at this moment; one may have come later."""
    try:
        os.close(os.open(gate.fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        pass
    return False


def test_unregister_answers_what_was_accepted(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path)
    running = background(server.predict, "gate", gate.body(tag="running"))
    gate.wait_entered()
    queued = background(server.predict, "gate", gate.body(tag="queued", fifo=""))
    eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 1)
    gone = background(server.manage, "DELETE", "/models/gate")
    eventually(lambda: server.models() == [])
    assert server.predict("gate", gate.body()).status_code == 404
    gate.open()
    assert running.result().json()["tag"] == "running"
    assert queued.result().json()["tag"] == "queued"
    assert gone.result().status_code == 200


def test_unregister_that_takes_too_long(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path, unregister_model_timeout=1)
    running = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    assert_error(server.manage("DELETE", "/models/gate"), 408, "RequestTimeoutException",
                 "Timed out while cleaning resources: gate")
    assert running.result().status_code in (500, 503)
    assert server.models() == []


def test_nothing_is_left_of_unpacked_archives(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)
    assert len(server.unpacked()) == 1
    server.stop()
    assert not list((server.root / "tmp" / "models").iterdir())


def test_front_dies_and_takes_its_workers_along(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, default_workers_per_model=2)
    server.process.kill()
    server.process.wait()
    server.ended = True
    server.check_leftovers()
    assert server.unpacked()
    serve(root=server.root, store=tmp_path)
    assert len(server.unpacked()) == 1      # those of the dead server are gone


def test_workers_load_side_by_side(serve, tmp_path):
    for i in range(8):
        make_mar(tmp_path, f"m{i}", "echo.py")
    server = serve(store=tmp_path)
    assert [server.predict(f"m{i}", f"{i}").text for i in range(8)] == [str(i) for i in range(8)]


def test_pipelined_requests_are_drained_too(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path)
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/gate", gate.body(tag="one"))
                 + encode("POST", "/predictions/gate", gate.body(tag="two", fifo="")))
        gate.wait_entered()
        eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 1)
        server.signal(signal.SIGTERM)
        gate.open()
        assert '"tag": "one"' in raw.response().text
        assert '"tag": "two"' in raw.response().text
        assert raw.ended()
    assert server.wait() == 0
