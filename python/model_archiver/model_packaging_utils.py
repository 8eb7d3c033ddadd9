# SPDX-License-Identifier: Apache-2.0
"""The steps of packing, for scripts that take them one by one."""

import io
import os
import re
import shutil
import tarfile
import tempfile
import types
import zipfile

from model_archiver import command
from model_archiver.manifest_components.manifest import Manifest, RuntimeType
from model_archiver.manifest_components.model import Model
from model_archiver.model_archiver_config import ModelArchiverConfig
from model_archiver.model_archiver_error import ModelArchiverError

archiving_options = {"tgz": ".tar.gz", "no-archive": "", "zip-store": ".mar", "default": ".mar"}

model_handlers = {
    "base_handler": "anything", "text_classifier": "text", "image_classifier": "vision",
    "object_detector": "vision", "image_segmenter": "vision", "dali_image_classifier": "vision",
    "vllm_handler": "text", "trt_llm_handler": "text"}

MODEL_SERVER_VERSION = "1.0"
MODEL_ARCHIVE_VERSION = "1.0"
MANIFEST_FILE_NAME = "MANIFEST.json"
MAR_INF = "MAR-INF"

_UNWANTED = {"__MACOSX", "__pycache__"}


class ModelExportUtils:
    @staticmethod
    def get_archive_export_path(export_file_path, model_name, archive_format):
        return os.path.join(export_file_path, model_name + archiving_options[archive_format])

    @staticmethod
    def check_mar_already_exists(model_name, export_file_path, overwrite,
                                 archive_format="default"):
        """The folder for the archive, unless one is there that must not be replaced."""
        folder = os.getcwd() if export_file_path is None else export_file_path
        path = ModelExportUtils.get_archive_export_path(folder, model_name, archive_format)
        if os.path.exists(path) and not overwrite:
            raise ModelArchiverError(
                "%s already exists.\nPlease specify --force/-f option to overwrite the model "
                "archive output file.\nSee -h/--help for more details." % path)
        return folder

    @staticmethod
    def find_unique(files, suffix):
        """The one file with this ending, None where there is none."""
        found = [name for name in files if name.endswith(suffix)]
        if len(found) > 1:
            raise ModelArchiverError(
                "model-archiver expects only one %s file in the folder. Found %s files %s in "
                "model-path." % (suffix, len(found), found))
        return found[0] if found else None

    @staticmethod
    def generate_model(modelcfg: ModelArchiverConfig):
        get = lambda name: getattr(modelcfg, name, None)    # noqa: E731
        return Model(get("model_name"), get("serialized_file"), get("handler"), get("model_file"),
                     get("version"), None, get("requirements_file"), get("config_file"))

    @staticmethod
    def generate_manifest_json(config: ModelArchiverConfig) -> str:
        """The text of MANIFEST.json."""
        return str(Manifest(config.runtime, ModelExportUtils.generate_model(config)))

    @staticmethod
    def clean_temp_files(temp_files):
        for path in temp_files:
            os.remove(path)

    @staticmethod
    def make_dir(d):
        os.makedirs(d, exist_ok=True)

    @staticmethod
    def copy_artifacts(model_name, runtime, **kwargs):
        """A new folder of the model's name with what the archive is to have but its manifest. The
        caller removes it."""
        above = tempfile.mkdtemp(prefix="model-archiver-")
        if runtime not in [kind.value for kind in RuntimeType]:
            runtime = None      # the manifest says it, which is not written here
        spec = types.SimpleNamespace(
            model_name=model_name, runtime=runtime, version="1", handler=kwargs.get("handler"),
            requirements_file=kwargs.get("requirements-file"), **{
                name: kwargs.get(name) for name in ("model_file", "serialized_file",
                                                    "extra_files", "config_file")})
        try:
            command.archive(spec, export_path=above, archive_format="no-archive",
                            handler=spec.handler or "base_handler")
        except BaseException:
            shutil.rmtree(above, ignore_errors=True)
            raise
        folder = os.path.join(above, model_name)
        shutil.rmtree(os.path.join(folder, MAR_INF))
        return folder

    @staticmethod
    def archive(export_file, model_name, model_path, manifest, archive_format="default"):
        """Packs the folder, with this manifest, into an archive in the folder `export_file`."""
        path = ModelExportUtils.get_archive_export_path(export_file, model_name, archive_format)
        text = manifest.encode("utf-8")
        if archive_format == "no-archive":
            if os.path.realpath(model_path) != os.path.realpath(path):
                ModelExportUtils.archive_dir(model_path, path, archive_format, model_name)
            ModelExportUtils.make_dir(os.path.join(path, MAR_INF))
            with open(os.path.join(path, MAR_INF, MANIFEST_FILE_NAME), "wb") as f:
                f.write(text)
        elif archive_format == "tgz":
            with tarfile.open(path, "w:gz") as tar:
                ModelExportUtils.archive_dir(model_path, tar, archive_format, model_name)
                entry = tarfile.TarInfo("/".join((model_name, MAR_INF, MANIFEST_FILE_NAME)))
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text))
        else:
            stored = archive_format == "zip-store"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if stored
                                 else zipfile.ZIP_DEFLATED) as z:
                ModelExportUtils.archive_dir(model_path, z, archive_format, model_name)
                z.writestr("/".join((MAR_INF, MANIFEST_FILE_NAME)), text)

    @staticmethod
    def archive_dir(path, dst, archive_format, model_name):
        """Adds the files of a folder to `dst`: an open archive, or a folder for no-archive."""
        for root, folders, names in os.walk(path):
            folders[:] = sorted(f for f in folders
                                if ModelExportUtils.directory_filter(f, _UNWANTED))
            for name in sorted(names):
                source = os.path.join(root, name)
                inside = os.path.relpath(source, path)
                if archive_format == "tgz":
                    dst.add(source, arcname=os.path.join(model_name, inside))
                elif archive_format == "no-archive":
                    target = os.path.join(dst, inside)
                    ModelExportUtils.make_dir(os.path.dirname(target))
                    shutil.copy(source, target)
                else:
                    dst.write(source, inside)

    @staticmethod
    def directory_filter(directory, unwanted_dirs):
        """Whether a folder is packed."""
        return directory not in unwanted_dirs and not directory.startswith(".")

    @staticmethod
    def file_filter(current_file, files_to_exclude):
        """Whether a file is packed."""
        files_to_exclude.add(MANIFEST_FILE_NAME)
        return current_file not in files_to_exclude and not current_file.endswith(
            (".pyc", ".DS_Store", ".mar"))

    @staticmethod
    def check_model_name_regex_or_exit(model_name):
        if not re.match(r"^[A-Za-z0-9][A-Za-z0-9_\-.]*$", model_name):
            raise ModelArchiverError(
                "Model name contains special characters.\nThe allowed regular expression filter "
                "for model name is: ^[A-Za-z0-9][A-Za-z0-9_\\-.]*$")

    @staticmethod
    def validate_inputs(model_name, export_path):
        ModelExportUtils.check_model_name_regex_or_exit(model_name)
        if not os.path.isdir(os.path.abspath(export_path)):
            raise ModelArchiverError("Given export-path %s is not a directory. Point to a valid "
                                     "export-path directory." % export_path)
