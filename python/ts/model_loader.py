# SPDX-License-Identifier: Apache-2.0
"""Loads the handler of an unpacked archive, for scripts and tests that do without a server."""

import abc
import json
import os
import uuid

from ts.service import Service


class ModelLoader(abc.ABC):
    @abc.abstractmethod
    def load(self, model_name, model_dir, handler=None, gpu_id=None, batch_size=None,
             envelope=None, limit_max_image_pixels=True):
        """Returns a Service."""


class TsModelLoader(ModelLoader):
    def load(self, model_name, model_dir, handler=None, gpu_id=None, batch_size=None,
             envelope=None, limit_max_image_pixels=True, metrics_cache=None):
        """The handler by the rules of the server, initialized; ValueError where it has no entry
        point."""
        from sconce import loader

        if metrics_cache is not None:
            metrics_cache.set_request_ids(str(uuid.uuid4()))
        service = Service(model_name, model_dir, _manifest(model_dir), None, gpu_id, batch_size,
                          limit_max_image_pixels, metrics_cache)
        service._entry_point = loader.load(handler, model_dir, service.context, envelope)
        return service


class ModelLoaderFactory:
    @staticmethod
    def get_model_loader():
        return TsModelLoader()


def _manifest(model_dir):
    path = os.path.join(model_dir, "MAR-INF", "MANIFEST.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return json.load(f)
