# SPDX-License-Identifier: Apache-2.0
"""Answers that are tensors."""

import io
import struct

import pytest

from sconce.encode import encode

PARTS = {
    "row": lambda x: x[1],
    "column": lambda x: x[:, 1],
    "every second": lambda x: x[0, ::2],
    "one number": lambda x: x[1, 1],
    "no element": lambda x: x[:0],
    "row again and again": lambda x: x[1].expand(5, 4),
    "windows": lambda x: x[1].unfold(0, 3, 1),
    "transposed rows": lambda x: x[1:].t(),
    "parameter": lambda x: x.requires_grad_()[1],
    "numbers of a sparse one": lambda x: __import__("torch").sparse_coo_tensor(
        [[0, 2]], x[1, :2], (3,), check_invariants=True),
    "complex": lambda x: __import__("torch").view_as_complex(x.reshape(-1, 2))[2:].conj(),
    "real": lambda x: __import__("torch").view_as_complex(x.reshape(-1, 2)).real[2:],
}


def read(torch, data):
    return torch.load(io.BytesIO(data), weights_only=True)


def numbers(torch, tensor):
    """As they lie in memory."""
    dense = tensor.detach().to_dense().resolve_conj()
    parts = torch.view_as_real(dense) if dense.is_complex() else dense
    return {struct.pack("<f", abs(number)) for number in parts.flatten().tolist()}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_of_a_part_of_a_tensor_the_rest_is_not_sent(torch, part):
    """What lies beside it may be what another client has asked for."""
    x = torch.arange(12.0).reshape(3, 4) + 100.25
    rest = numbers(torch, x) - numbers(torch, part(x.clone()))
    value = part(x)
    data = encode(value)
    assert not [number for number in rest if number in data]
    got = read(torch, data)
    assert got.requires_grad == value.requires_grad and got.layout == value.layout
    assert torch.equal(got.to_dense(), value.to_dense())


def test_rows_of_different_lengths(torch):
    rows = [torch.arange(6.0).reshape(2, 3), torch.arange(9.0).reshape(3, 3)]
    nested = torch.nested.nested_tensor(rows, layout=torch.jagged)
    got = torch.load(io.BytesIO(encode(nested)), weights_only=False)
    assert all(map(torch.equal, got.unbind(), rows))


def test_a_whole_tensor_is_not_copied(torch, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "clone", None)
    x = torch.arange(12.0).reshape(3, 4)
    for whole in (x, x.t(), x[None], x.reshape(2, 2, 3).permute(2, 0, 1), torch.ones(1).expand(9),
                  torch.nn.Parameter(x), torch.empty(0), torch.tensor(1)):
        assert torch.equal(read(torch, encode(whole)), whole)
