# SPDX-License-Identifier: Apache-2.0
"""A loaded model as scripts see it that load one themselves; and names that handlers import."""

import os

from ts.context import Context, RequestProcessor
from ts.utils.util import PredictionException, get_yaml_config  # noqa: F401

PREDICTION_METRIC = "PredictionTime"


class Service:
    """The entry point of a handler and its context. Requests come to it from sconce.serving, so
    there is no predict() for messages of TorchServe's own protocol."""

    def __init__(self, model_name, model_dir, manifest, entry_point, gpu, batch_size,
                 limit_max_image_pixels=True, metrics_cache=None):
        config_file = ((manifest or {}).get("model") or {}).get("configFile")
        config = get_yaml_config(os.path.join(model_dir, config_file)) if config_file else {}
        self._context = Context(model_name, model_dir, manifest, batch_size, gpu, None,
                                limit_max_image_pixels, metrics_cache, config)
        self._entry_point = entry_point

    @property
    def context(self):
        return self._context

    @staticmethod
    def retrieve_data_for_inference(batch):
        """(headers, fields, {index: id}) of requests as TorchServe's workers know them: dicts with
        `requestId`, `parameters` and perhaps `headers`."""
        if batch is None:
            raise ValueError("Received invalid inputs")
        headers, rows, ids = [], [], {}
        for index, request in enumerate(batch):
            fields = {p["name"]: p["value"] for p in request["parameters"]}
            known = {p["name"]: {"content-type": p["contentType"]} for p in request["parameters"]}
            known.update((h["name"].decode("utf-8"), h["value"].decode("utf-8"))
                         for h in request.get("headers") or ())
            ids[index] = request.get("requestId").decode("utf-8")
            headers.append(RequestProcessor(known))
            rows.append(fields)
        return headers, rows, ids


def emit_metrics(metrics):
    """Logs every metric of the collection as TorchServe's workers do."""
    import logging

    for metric in metrics or ():
        logging.getLogger(__name__).info("[METRICS]%s", metric)
