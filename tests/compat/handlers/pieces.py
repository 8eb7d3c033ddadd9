# SPDX-License-Identifier: Apache-2.0
"""Sends as many intermediate answers as the body says."""

from ts.handler_utils.utils import send_intermediate_predict_response


def handle(data, context):
    if data is None:
        return None
    for i in range(int(bytes(data[0]["body"]))):
        send_intermediate_predict_response([f"piece {i};" for _ in data], context.request_ids,
                                           "Intermediate Prediction success", 200, context)
    return ["the end" for _ in data]
