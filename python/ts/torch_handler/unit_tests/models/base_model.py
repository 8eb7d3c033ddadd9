# SPDX-License-Identifier: Apache-2.0
"""A model that is as small as can be, for tests of handlers."""

import torch


class ArgmaxModel(torch.nn.Module):
    def forward(self, *input):
        return torch.argmax(input[0], 1)


def save_pt_file(filepath="base_model.pt"):
    """Its weights, of which there are none."""
    torch.save(ArgmaxModel().state_dict(), filepath)
