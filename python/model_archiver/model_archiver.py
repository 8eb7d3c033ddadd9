# SPDX-License-Identifier: Apache-2.0
"""The call that most scripts make."""

from model_archiver.model_archiver_config import ModelArchiverConfig
from model_archiver.model_packaging import generate_model_archive


class ModelArchiver:
    @staticmethod
    def generate_model_archive(config: ModelArchiverConfig) -> None:
        """Packs what it says."""
        generate_model_archive(config)
