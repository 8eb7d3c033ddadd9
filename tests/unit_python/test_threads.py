# SPDX-License-Identifier: Apache-2.0
"""How many threads a worker computes with: what the front says last, unless somebody chose."""

import os
import sys
import types

import pytest

from sconce import encode, serving


@pytest.fixture
def says(monkeypatch):
    """Starts with an environment, tells numbers; returns those of the libraries in the end."""
    def run(environment, *numbers, torch=None):
        monkeypatch.setattr(serving, "tuned", 0)
        monkeypatch.setitem(sys.modules, "torch", torch)
        for name in serving.THREAD_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for threads in numbers:
            serving.tune(threads)
        return [os.environ.get(name) for name in serving.THREAD_VARIABLES]
    return run


OMP, MKL, BLAS = serving.THREAD_VARIABLES


@pytest.mark.parametrize("environment, numbers, want", [
    ({}, [2], ["2", "2", "2"]),
    # Another model has come between the start of the process and that of the load, or later.
    ({OMP: "2", MKL: "2", BLAS: "2"}, [1], ["1", "1", "1"]),
    ({OMP: "2", MKL: "2", BLAS: "2"}, [2, 1, 4], ["4", "4", "4"]),
    # These are the user's.
    ({OMP: "2", MKL: "3"}, [1], ["1", "3", "1"]),
    ({OMP: "4,2"}, [1], ["4,2", None, None]),
    ({OMP: "2"}, [0], ["2", None, None]),
])
def test_libraries_that_come_later_find_the_number(says, environment, numbers, want):
    assert says(environment, *numbers) == want


def test_what_a_handler_sets_stays(says, monkeypatch):
    says({}, 2)
    monkeypatch.setenv(OMP, "7")
    serving.tune(1)
    assert os.environ[OMP] == "7"


def test_a_torch_that_came_after_the_start_is_told(says):
    torch = types.ModuleType("torch")
    torch.get_num_threads = lambda: torch.threads
    torch.set_num_threads = lambda n: setattr(torch, "threads", n)
    torch.threads = int(says({OMP: "2"}, 1)[0])     # it reads its environment
    sys.modules["torch"] = torch
    serving.tune(2)
    assert torch.threads == 2
    torch.threads = 5                               # the handler's choice
    serving.tune(1)
    assert torch.threads == 5


def test_a_torch_of_which_there_is_a_part_only(says, monkeypatch):
    """A thread of the handler's is importing it."""
    torch = types.ModuleType("torch")
    torch.threads = int(says({OMP: "2"}, 1)[0])
    monkeypatch.setitem(sys.modules, "torch", torch)
    serving.tune(2)
    assert encode.encode([1]) == b"[\n  1\n]"
    torch.get_num_threads = lambda: torch.threads
    torch.set_num_threads = lambda n: setattr(torch, "threads", n)
    serving.tune(3)
    assert torch.threads == 3
