# SPDX-License-Identifier: Apache-2.0
"""The loop never blocks: what takes long is done elsewhere.

Every other test is a test of this, too: its servers warn of each turn above STALL_MS, and fail it
for those that Server.stalls() blames.
"""

import re

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import STALL_MS

FILES = 20_000    # some 300 ms to remove


def turns(server):
    """How many the server has made, and its histogram."""
    text = server.metrics_text()
    buckets = re.findall(r'^sconce_loop_stall_seconds_bucket\{le="([^"]+)",\} (\S+)$', text, re.M)
    count, = re.findall(r"^sconce_loop_stall_seconds_count (\S+)$", text, re.M)
    return float(count), {bound: float(n) for bound, n in buckets}


def test_every_turn_is_measured(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)
    before, _ = turns(server)
    for _ in range(10):
        assert server.predict("echo", b"x").content == b"x"
    count, buckets = turns(server)
    assert count >= before + 20      # each had at least one for its call and one for its answer
    assert buckets["+Inf"] == count
    assert buckets["1.0"] == count


def test_a_model_of_many_files_goes_without_anybody_waiting(serve, tmp_path):
    files = {f"data/{i % 100}/{i}": b"" for i in range(FILES)}
    make_mar(tmp_path / "store", "many", "echo.py", files=files)
    make_mar(tmp_path / "store", "echo", "echo.py")
    server = serve(store=tmp_path / "store")
    unregistering = background(server.manage, "DELETE", "/models/many")
    while not unregistering.done():
        assert server.predict("echo", b"x").status_code == 200
    assert unregistering.result().status_code == 200
    assert not list((server.root / "tmp").glob("models/*/*/data/*")), "removed when it is answered"
    assert server.register("many.mar", initial_workers=1).status_code == 200
    assert not server.stalls(), f"a turn of more than {STALL_MS} ms"
