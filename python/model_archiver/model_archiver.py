# SPDX-License-Identifier: Apache-2.0
"""The call that most scripts make."""

from model_archiver.model_packaging import generate_model_archive


class ModelArchiver:
    @staticmethod
    def generate_model_archive(config):
        """`config`: a ModelArchiverConfig."""
        generate_model_archive(config)
