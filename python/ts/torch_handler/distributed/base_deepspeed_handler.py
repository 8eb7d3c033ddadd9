# SPDX-License-Identifier: Apache-2.0
"""The base of handlers that run a model with DeepSpeed; see ts.handler_utils.distributed."""

import os

from ts.context import Context
from ts.torch_handler.base_handler import BaseHandler


class BaseDeepSpeedHandler(BaseHandler):
    def initialize(self, ctx: Context):
        """Chooses the device; derived classes load the model."""
        self.device = int(os.environ.get("LOCAL_RANK", 0))
