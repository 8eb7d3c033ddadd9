# SPDX-License-Identifier: Apache-2.0
"""Tells where it runs: its GPU and what its environment says. Also leaves a note when it loads."""

import json
import os

NAMES = ("CUDA_VISIBLE_DEVICES", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE",
         "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS", "TS_IPEX_ENABLE", "TS_IPEX_GPU_ENABLE",
         "SECRET_OF_THE_SERVER")


def look(context):
    return {"gpu_id": context.system_properties["gpu_id"], "pid": os.getpid(),
            "environment": {name: os.environ[name] for name in NAMES if name in os.environ}}


def handle(data, context):
    if data is not None:
        return [look(context)] * len(data)
    note = os.path.join(os.environ["DEVICE_NOTES"], "%d.json" % os.getpid())
    with open(note + ".part", "w") as f:
        json.dump(look(context), f)
    os.rename(note + ".part", note)
    return None
