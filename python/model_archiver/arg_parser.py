# SPDX-License-Identifier: Apache-2.0
"""The command's options for argparse."""

import argparse
import os

from model_archiver.manifest_components.manifest import RuntimeType
from model_archiver.model_archiver_config import ModelArchiverConfig

_FILES = (
    (("--serialized-file",), "weights (state_dict), TorchScript or ONNX"),
    (("--model-file",), "Python file with the model's class"),
    (("--extra-files",), "further files, patterns and folders, separated by commas"),
    (("-r", "--requirements-file"), "requirements.txt with the packages that the handler needs"),
    (("-c", "--config-file"), "model-config.yaml with the model's settings"),
)


def _is_native():
    """Then there is no handler."""
    early = argparse.ArgumentParser(add_help=False)
    early.add_argument("--runtime")
    return early.parse_known_args()[0].runtime == RuntimeType.NATIVE.value


class ArgParser:
    @staticmethod
    def export_model_args_parser():
        """The arguments of this process, as a ModelArchiverConfig."""
        parser = argparse.ArgumentParser(prog="torch-model-archiver")
        parser.add_argument("--model-name", required=True, help="the model's name")
        parser.add_argument("--handler", required=not _is_native(),
                            help="file, module:function, or a name; none with --runtime native")
        parser.add_argument("-v", "--version", required=True, help="the model's version")
        for names, text in _FILES:
            parser.add_argument(*names, help=text)
        parser.add_argument("--runtime", default=RuntimeType.PYTHON.value,
                            choices=[kind.value for kind in RuntimeType],
                            help="what runs the handler")
        parser.add_argument("--export-path", default=os.getcwd(), help="folder for the archive")
        parser.add_argument("--archive-format", default="default",
                            choices=["tgz", "no-archive", "zip-store", "default"],
                            help="form of the archive")
        parser.add_argument("-f", "--force", action="store_true",
                            help="replace an archive that exists")
        return ModelArchiverConfig.from_args(parser.parse_args())
