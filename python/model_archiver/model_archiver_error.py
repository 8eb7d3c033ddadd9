# SPDX-License-Identifier: Apache-2.0
"""What packing raises."""


class ModelArchiverError(Exception):
    """The message is the command's."""


class MissingFileError(ModelArchiverError, FileNotFoundError):
    """A file that the archive is to have is not there."""
