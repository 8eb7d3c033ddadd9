# SPDX-License-Identifier: Apache-2.0
"""Images and containers for the tests of this folder: each image is built once."""

import pytest

pytest.register_assert_rewrite("e2e.server")

from deploy.podman import Podman, missing        # noqa: E402


@pytest.fixture(scope="session")
def podman():
    """A podman of our own, without images."""
    if missing():
        pytest.skip(f"no containers without {', '.join(missing())}: tools/setup.sh image")
    engine = Podman()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def core_image(podman):
    """The name of sconce:core, built from build/."""
    podman.build("core")
    return "localhost/sconce:core"


@pytest.fixture(scope="session")
def python_image(podman):
    """The name of sconce:python, built from build/."""
    podman.build("python")
    return "localhost/sconce:python"
