# SPDX-License-Identifier: Apache-2.0
"""The model's part of MANIFEST.json."""

import json
import os


def _last(path):
    return os.path.basename(path) if path else None


class Model:
    def __init__(self, model_name, serialized_file, handler, model_file=None, model_version=None,
                 extensions=None, requirements_file=None, config_file=None):
        self.model_name = model_name
        self.serialized_file = _last(serialized_file)
        self.handler = _last(handler)
        self.model_file = model_file
        self.model_version = model_version
        self.extensions = extensions
        self.requirements_file = requirements_file
        self.config_file = _last(config_file)
        self.model_dict = self.__to_dict__()

    def __to_dict__(self):
        pairs = (("modelName", self.model_name), ("serializedFile", self.serialized_file),
                 ("handler", self.handler), ("modelFile", _last(self.model_file)),
                 ("modelVersion", self.model_version), ("extensions", self.extensions),
                 ("requirementsFile", _last(self.requirements_file)),
                 ("configFile", self.config_file))
        return {key: value for key, value in pairs if value or key in ("modelName", "handler")}

    def __str__(self):
        return json.dumps(self.model_dict)

    __repr__ = __str__
