# SPDX-License-Identifier: Apache-2.0
"""Workers that are forked from a process that has imported things."""

import json
import os
import socket
import subprocess
import sys

import pytest
from conftest import ROOT, Front

from sconce import frame as wire

SEEDED = """
import os
state = None
def seed():
    global state
    state = os.urandom(8).hex()
seed()
"""
TORCH = """
import types
from numpy import random
default_generator = types.SimpleNamespace(seed=lambda: setattr(default_generator, "state", "new"))
default_generator.state = "old"
def set_num_threads(n): pass
def get_num_threads(): return 1
class Tensor: pass
"""
HANDLER = """
import random, sys
def handle(data, context):
    if data is None:
        return None
    return [[sys.modules["numpy.random"].state, random.random(),
             sys.modules["torch"].default_generator.state]]
"""


@pytest.fixture
def zygote(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").touch()
    (tmp_path / "numpy" / "random.py").write_text(SEEDED)
    (tmp_path / "torch.py").write_text(TORCH)
    path = f"{ROOT / 'python'}:{tmp_path}"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "sconce.zygote", "--fd", str(theirs.fileno()), "--preload",
             "torch"], pass_fds=[theirs.fileno()], env=dict(os.environ, PYTHONPATH=path))

        def launch(peer, folder=tmp_path):
            order = {"token": 1, "environment": {"PYTHONPATH": path}, "cwd": str(folder)}
            socket.send_fds(ours, [wire.frame(wire.SPAWN, 0, json.dumps(order).encode())],
                            [1, 2, peer.fileno()])
            assert json.loads(ours.recv(wire.FRAME_MAX)[wire.HEAD:])["error"] == ""

        yield launch
        ours.close()
        assert process.wait(30) == 0


def test_every_worker_draws_numbers_of_its_own(zygote, tmp_path):
    class Forked(Front):
        launch = staticmethod(zygote)

    (tmp_path / "handler.py").write_text(HANDLER)
    seen = []
    for _ in range(2):
        f = Forked(tmp_path)
        f.run([b""])
        seen.append(json.loads(f.replies(1)[0].body))
        f.send(wire.STOP, 0)
        assert not f.socket.recv(1), "it has ended"
        f.socket.close()
    (numpy_a, python_a, torch_a), (numpy_b, python_b, torch_b) = seen
    assert numpy_a != numpy_b and python_a != python_b and torch_a == torch_b == "new"


BETWEEN = """
import os
from sconce import zygote
zygote._become_worker = lambda order, fds, adopted: os._exit(0)
reader, writer = os.pipe()
adopted, not_yet = os.pipe()
os.close(reader)
pid = os.fork()
if not pid:
    try:
        zygote._fork_again({}, (), writer, adopted)
    finally:
        os._exit(77)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_who_is_between_does_not_take_the_place_of_a_zygote_that_has_ended():
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
    done = subprocess.run([sys.executable, "-c", BETWEEN], env=environment, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("brought", ["numpy/__init__.py", "torch.py", "torch.abi3.so"])
def test_a_model_has_the_packages_that_it_brings(zygote, tmp_path, brought):
    """Not those that were imported for all models."""
    folder = tmp_path / "model"
    (folder / brought).parent.mkdir(parents=True)
    (folder / brought).write_text("own = True\n")
    name = "numpy" if "numpy" in brought else "torch"
    (folder / "handler.py").write_text(
        "def handle(data, context):\n    if data is None:\n        return None\n"
        "    import importlib.util as util, sys\n"
        f"    return [[{name!r} in sys.modules, util.find_spec({name!r}).origin]]\n")

    class Forked(Front):
        launch = staticmethod(lambda peer: zygote(peer, folder))

    f = Forked(folder)
    f.run([b""])
    assert json.loads(f.replies(1)[0].body) == [False, str(folder / brought)]
    f.send(wire.STOP, 0)
    assert not f.socket.recv(1), "it has ended"
    f.socket.close()
