# SPDX-License-Identifier: Apache-2.0
"""A zygote that hangs is no worker's end: the start fails in time, and everything can be ended."""

import os
import signal

import pytest

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import PATIENCE, eventually, marked_processes


@pytest.fixture
def server(serve, tmp_path):
    """With a model that has a worker, and a zygote that is stopped."""
    store = tmp_path / "store"
    make_mar(store, "echo", "echo.py")
    server = serve(store=store)
    server.hung = zygotes(server) - set(server.worker_pids("echo"))
    assert len(server.hung) == 1
    hang(server)
    return server


def zygotes(server):
    return {pid for pid, line in marked_processes(server.mark) if b"sconce.zygote" in line}


def hang(server):
    for pid in server.hung:
        os.kill(pid, signal.SIGSTOP)


def test_a_start_fails_in_time_and_the_next_one_works(server):
    make_mar(server.store, "second", "echo.py", config="startupTimeout: 1\n")
    first = server.register("second.mar", initial_workers=1, synchronous=True)
    assert first.status_code == 500, first.text
    server.said("Backend worker did not respond in given time (1 s)")
    eventually(lambda: not server.hung & zygotes(server), "the zygote that hangs is ended")
    second = server.register("second.mar", initial_workers=1, synchronous=True)
    assert second.status_code == 200, second.text
    assert server.predict("echo", b"still").content == b"still"


def test_a_model_that_waits_for_it_can_be_deleted(server):
    make_mar(server.store, "second", "echo.py")
    registered = background(server.register, "second.mar", initial_workers=1, synchronous=True)
    eventually(lambda: "second" in server.models())
    assert server.manage("DELETE", "/models/second").status_code == 200
    registered.result(PATIENCE)
    assert server.predict("echo", b"still").content == b"still"


def test_the_server_ends_while_a_worker_waits_for_it(server):
    make_mar(server.store, "second", "echo.py")
    server.register("second.mar", initial_workers=1, synchronous=False)
    eventually(lambda: "second" in server.models())
    server.stop()


def test_variables_that_are_no_text_reach_the_worker(serve, tmp_path):
    """A folder's name in Latin-1, say. No zygote can be told."""
    store = tmp_path / "store"
    make_mar(store, "see", """
import os
def handle(data, context):
    return data and [os.environb[b"PLACE"]]
""")
    server = serve(store=store, environment={"PLACE": os.fsdecode(b"/caf\xe9")})
    assert server.predict("see").content == b"/caf\xe9"
