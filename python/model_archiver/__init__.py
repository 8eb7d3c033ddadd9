# SPDX-License-Identifier: Apache-2.0
"""Packs model archives from Python, by the names of TorchServe's package: what is packed and how is
the command's affair (`torch-model-archiver`), which this runs.
"""

from model_archiver.version import __version__  # noqa: F401  isort: skip
from model_archiver.model_archiver import ModelArchiver  # noqa: F401
from model_archiver.model_archiver_config import ModelArchiverConfig  # noqa: F401
