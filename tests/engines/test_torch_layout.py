# SPDX-License-Identifier: Apache-2.0
"""In which order the engine `torch` lays out pictures for networks of convolutions."""

import pytest
import torch

from engines.engine import Engine, this_python
from engines.test_torch import CACHE, Convolution, close, inputs, rand, save

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def engine(tmp_path):
    CACHE.mkdir(parents=True, exist_ok=True)
    return Engine("torch", tmp_path, python=this_python(), cache=CACHE)


LAID_OUT = "The model gets pictures with their channels last"


class Viewing(torch.nn.Module):
    """Views memory as it lies, of pictures with more than `rows` rows."""

    def __init__(self, rows):
        super().__init__()
        torch.manual_seed(3)
        self.convolution, self.rows = torch.nn.Conv2d(3, 8, 3), rows

    def forward(self, image):
        x = self.convolution(image)
        return x.view(-1) if image.size(2) > self.rows else x.reshape(-1)


@pytest.mark.parametrize("fuse", [True, False])
def test_pictures_lie_as_convolutions_want_them(engine, tmp_path, fuse):
    module = save(Convolution().body[:4], tmp_path / "m.pt", torch.rand(1, 3, 32, 32))
    x = rand(3, 3, 32, 32)
    result = engine.call(tmp_path / "m.pt", [x], batch=4, repeat=3, config={"fuse": fuse})
    assert close(result.outputs()[0], module(torch.from_numpy(x)))
    assert (LAID_OUT in [line for _, line in result.log]) == fuse


@pytest.mark.parametrize("rows", [8, 70])
def test_code_that_views_memory_has_it_as_it_was(engine, tmp_path, rows):
    """Whether that is seen before the model is ready (with 64 rows) or later."""
    module, x = save(Viewing(rows), tmp_path / "m.pt"), rand(2, 3, 80, 40)
    result = engine.call(tmp_path / "m.pt", [x], repeat=4,
                         config=inputs(image=("FP32", -1, 3, -1, -1)))
    assert close(result.outputs()[0], module(torch.from_numpy(x)))
    assert (LAID_OUT in [line for _, line in result.log]) == (rows == 70)
