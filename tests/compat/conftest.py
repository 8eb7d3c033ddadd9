# SPDX-License-Identifier: Apache-2.0
"""The pair of servers of a configuration, started when its first case comes."""

import pytest

pytest.register_assert_rewrite("e2e.server", "e2e.client")

from compat.models import CONFIGURATIONS, build_store       # noqa: E402
from compat.servers import Pair, missing                    # noqa: E402


class Pairs:
    """At most one pair runs: cases come sorted by configuration."""

    def __init__(self, root):
        self.root, self.name, self.pair = root, None, None
        self.store = build_store(root / "store")

    def get(self, name):
        if self.name != name:
            self.stop()
            self.name = name
            self.pair = Pair(self.root / name, CONFIGURATIONS[name], self.store)
            self.pair.wait_ready()
        return self.pair

    def stop(self):
        if self.pair:
            self.pair.stop()
        self.name = self.pair = None


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    if missing():
        pytest.skip(missing())
    pairs = Pairs(tmp_path_factory.mktemp("compat"))
    yield pairs
    pairs.stop()


@pytest.fixture(scope="session")
def seen():
    """Ids of the rules that explained a difference."""
    return set()
