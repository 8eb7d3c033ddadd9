# SPDX-License-Identifier: Apache-2.0
"""Packing an archive, by a config or by the arguments of this process."""

import json
import logging
import os
import shutil
from typing import Optional

from model_archiver import command
from model_archiver.arg_parser import ArgParser
from model_archiver.model_archiver_config import ModelArchiverConfig
from model_archiver.model_archiver_error import ModelArchiverError
from model_archiver.model_packaging_utils import ModelExportUtils

_FILES = ("handler", "model_file", "serialized_file", "extra_files", "requirements_file",
          "config_file")


def _facts(manifest):
    """What a manifest says of the model: not when and by whom it was packed."""
    document = json.loads(manifest)
    return {key: document[key] for key in document if key not in ("createdOn", "archiverVersion")}


def _package(config, manifest):
    if _facts(manifest) == _facts(ModelExportUtils.generate_manifest_json(config)):
        command.archive(config)
        return
    # Another manifest than the command would write.
    given = {name: getattr(config, name, None) for name in _FILES}
    given["requirements-file"] = given.pop("requirements_file")
    archive_format = getattr(config, "archive_format", None) or "default"
    export_path = getattr(config, "export_path", None) or os.getcwd()
    ModelExportUtils.validate_inputs(config.model_name, export_path)
    ModelExportUtils.check_mar_already_exists(
        config.model_name, export_path, getattr(config, "force", False), archive_format)
    folder = ModelExportUtils.copy_artifacts(config.model_name, config.runtime, **given)
    try:
        ModelExportUtils.archive(export_path, config.model_name, folder, manifest, archive_format)
    finally:
        shutil.rmtree(os.path.dirname(folder), ignore_errors=True)


def package_model(config: ModelArchiverConfig, manifest: str):
    """`manifest`: the text of MANIFEST.json, as ModelExportUtils.generate_manifest_json() has it
    or changed."""
    try:
        _package(config, manifest)
    except ModelArchiverError as e:
        logging.error("%s", e)
        raise


def generate_model_archive(config: Optional[ModelArchiverConfig] = None):
    """None: as the arguments of this process say."""
    logging.basicConfig(format="%(levelname)s - %(message)s")
    if config is None:
        config = ArgParser.export_model_args_parser()
    package_model(config, manifest=ModelExportUtils.generate_manifest_json(config))


if __name__ == "__main__":
    generate_model_archive()
