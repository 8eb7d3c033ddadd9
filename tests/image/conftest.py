# SPDX-License-Identifier: Apache-2.0
"""What src/image does, beside Pillow. Every case is drawn from a seed: `--times=20` draws twenty
times as many, `--seed=7` others."""

import os
import random
import warnings
from pathlib import Path

import pytest

pytest.register_assert_rewrite("image.pillow")

from image.programs import Decoder, JpegMaker       # noqa: E402
from image.steps import Chain                       # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--times", type=int, default=1, help="how many times as many cases to draw")
    parser.addoption("--seed", type=int, default=0, help="draw other cases")


def program(name):
    return Path(os.environ.get("SCONCE_IMAGE_BUILD", ROOT / "build")) / "tests" / "image" / name


@pytest.fixture(scope="session")
def own_environment(tmp_path_factory):
    return {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("programs"))}


@pytest.fixture(scope="session")
def decoder(own_environment):
    with Decoder(program("image_dump"), own_environment) as decoder:
        yield decoder


@pytest.fixture(scope="session")
def chain(own_environment):
    with Chain(program("image_chain"), own_environment) as chain:
        yield chain


@pytest.fixture(scope="session")
def jpeg_maker(own_environment):
    with JpegMaker(program("jpeg_make"), own_environment) as maker:
        yield maker


@pytest.fixture
def cases(request):
    """cases(n): n generators of random numbers, or as many times more as were asked for."""
    times, seed = request.config.getoption("times"), request.config.getoption("seed")
    return lambda n: (random.Random(f"{request.node.name} {seed} {i}") for i in range(n * times))


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # Pillow's, of damaged files
        yield
