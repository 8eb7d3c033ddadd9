# SPDX-License-Identifier: Apache-2.0
"""The base of handlers that run a model as a pipeline of PiPPy over several workers."""

import os

import torch

from ts.handler_utils.distributed.pt_pippy import initialize_rpc_workers
from ts.torch_handler.base_handler import BaseHandler


class BasePippyHandler(BaseHandler):
    def initialize(self, ctx):
        """Joins the other ranks; derived classes load the model."""
        self.local_rank = int(os.environ["LOCAL_RANK"])
        self.world_size = int(os.environ["WORLD_SIZE"])
        self.device = self.local_rank % torch.cuda.device_count()
        initialize_rpc_workers(self.local_rank, self.world_size, ctx)
