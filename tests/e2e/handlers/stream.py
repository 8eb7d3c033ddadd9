# SPDX-License-Identifier: Apache-2.0
"""Sends intermediate answers; waits at a FIFO between them where the body names one."""

import json

from ts.handler_utils.utils import send_intermediate_predict_response


def handle(data, context):
    if data is None:
        return None
    wish = json.loads(bytes(data[0]["body"]))
    for i in range(wish["pieces"]):
        send_intermediate_predict_response([f"piece {i};" for _ in data], context.request_ids,
                                           "Intermediate Prediction success", 200, context)
        if "left" in wish and context.is_cancelled():
            open(wish["left"], "w").close()
            return [f"left after {i + 1}" for _ in data]
        if wish.get("fifo") and i < wish.get("waits", wish["pieces"]):
            with open(wish["fifo"], "rb") as fifo:
                fifo.read()
    if wish.get("fail"):
        raise ValueError("in the middle of a stream")
    return ["the end" for _ in data]
