# SPDX-License-Identifier: Apache-2.0
"""MANIFEST.json."""

import datetime
import enum
import json

from model_archiver.version import __version__


class RuntimeType(enum.Enum):
    PYTHON = "python"
    PYTHON3 = "python3"
    LSP = "LSP"
    NATIVE = "native"       # an engine runs the serialized file; there is no handler


class Manifest:
    def __init__(self, runtime, model):
        self.creation_time = datetime.datetime.now().strftime("%d/%m/%Y %H:%M:%S")
        self.runtime = RuntimeType(runtime)
        self.model = model
        self.archiver_version = __version__
        self.manifest_dict = self.__to_dict__()

    def __to_dict__(self):
        found = {"createdOn": self.creation_time, "runtime": self.runtime.value,
                 "model": self.model.__to_dict__()}
        if self.archiver_version is not None:
            found["archiverVersion"] = self.archiver_version
        return found

    def __str__(self):
        return json.dumps(self.manifest_dict, indent=2)

    __repr__ = __str__
