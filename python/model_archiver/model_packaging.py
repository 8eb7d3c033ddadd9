# SPDX-License-Identifier: Apache-2.0
"""Packing an archive, by a config or by the arguments of this process."""

import json
import logging
import os
import shutil

from model_archiver import command
from model_archiver.arg_parser import ArgParser
from model_archiver.model_archiver_error import ModelArchiverError
from model_archiver.model_packaging_utils import ModelExportUtils


def _facts(manifest):
    """What a manifest says of the model: not when and by whom it was packed."""
    document = json.loads(manifest)
    return {key: document[key] for key in document if key not in ("createdOn", "archiverVersion")}


def _package(config, manifest):
    if _facts(manifest) == _facts(ModelExportUtils.generate_manifest_json(config)):
        command.archive(config)
        return
    # Another manifest than the command would write.
    archive_format = config.archive_format
    ModelExportUtils.validate_inputs(config.model_name, config.export_path)
    export_path = ModelExportUtils.check_mar_already_exists(
        config.model_name, config.export_path, config.force, archive_format)
    folder = ModelExportUtils.copy_artifacts(
        config.model_name, config.runtime, model_file=config.model_file,
        serialized_file=config.serialized_file, handler=config.handler,
        extra_files=config.extra_files, config_file=config.config_file,
        **{"requirements-file": config.requirements_file})
    try:
        ModelExportUtils.archive(export_path, config.model_name, folder, manifest, archive_format)
    finally:
        shutil.rmtree(os.path.dirname(folder), ignore_errors=True)


def package_model(config, manifest):
    """`manifest`: the text of MANIFEST.json, as ModelExportUtils.generate_manifest_json() has it
    or changed."""
    try:
        _package(config, manifest)
    except ModelArchiverError as e:
        logging.error("%s", e)
        raise


def generate_model_archive(config=None):
    """`config`: a ModelArchiverConfig; None: as the arguments of this process say."""
    logging.basicConfig(format="%(levelname)s - %(message)s")
    if config is None:
        config = ArgParser.export_model_args_parser()
    package_model(config, manifest=ModelExportUtils.generate_manifest_json(config))


if __name__ == "__main__":
    generate_model_archive()
