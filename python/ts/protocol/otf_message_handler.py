# SPDX-License-Identifier: Apache-2.0
"""Where handlers written for older versions of TorchServe find the call for streaming."""

from ts.handler_utils.utils import send_intermediate_predict_response  # noqa: F401
