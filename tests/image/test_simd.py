# SPDX-License-Identifier: Apache-2.0
"""Which kernels are used: SCONCE_SIMD names them, and what they give does not depend on it."""

import random
import subprocess

import numpy
import pytest

from image.conftest import program
from image.draw import picture, side
from image.steps import FILTERS, Chain, step

KINDS = ["plain", "avx2", "avx512", "vnni", "neon"]
STEPS = [step("to_tensor"), step("normalize", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_give_the_same(own_environment, chain, cases, kind):
    """Where the processor has no such kernels, its best ones are used."""
    with Chain(program("image_chain"), {**own_environment, "SCONCE_SIMD": kind}) as other:
        for rng in cases(30):
            image = picture(rng, "RGB", rng.randint(1, 500), rng.randint(1, 300))
            size, filter = (rng.randint(1, 300), rng.randint(1, 300)), rng.choice(FILTERS)
            steps = [step("resize", *size, filter=filter), *STEPS]
            assert numpy.array_equal(other.run(image, steps), chain.run(image, steps))


@pytest.mark.parametrize("kind", KINDS)
def test_grey_of_each_kind_is_that_of_pillow(own_environment, cases, kind):
    with Chain(program("image_chain"), {**own_environment, "SCONCE_SIMD": kind}) as other:
        for rng in cases(30):
            image = picture(rng, rng.choice(["RGB", "RGBA"]), side(rng), rng.randint(1, 9))
            left = rng.randint(0, image.width - 1)
            _, grey = other.run(image, [step("crop", left, 0, image.width - left, image.height),
                                        step("convert", "L")])
            assert numpy.array_equal(grey[:, :, 0], numpy.asarray(image.convert("L"))[:, left:])


def test_what_is_unknown_is_told_once(own_environment):
    image = picture(random.Random(1), "RGB", 20, 20)
    with Chain(program("image_chain"), {**own_environment, "SCONCE_SIMD": "mmx"},
               stderr=subprocess.PIPE) as other:
        for _ in range(2):
            assert other.run(image, STEPS).shape == (3, 20, 20)
        other.process.stdin.close()
        said = other.process.stderr.read().decode()
    assert said.count("\n") == 1
    assert said.startswith('SCONCE_SIMD is "mmx", which this processor cannot run; it can:')
    assert " plain; using " in said
