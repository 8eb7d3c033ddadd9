# SPDX-License-Identifier: Apache-2.0
"""What an archive is made from: the command's options."""

import os
from dataclasses import dataclass, field, fields
from typing import Optional

from model_archiver.manifest_components.manifest import RuntimeType


@dataclass
class ModelArchiverConfig:
    model_name: str
    handler: Optional[str]      # None: of runtime native
    version: str
    serialized_file: Optional[str] = None
    model_file: Optional[str] = None
    extra_files: Optional[str] = None
    runtime: str = RuntimeType.PYTHON.value
    export_path: str = field(default_factory=os.getcwd)
    archive_format: str = "default"     # or tgz, no-archive, zip-store
    force: bool = False
    requirements_file: Optional[str] = None
    config_file: Optional[str] = None

    @classmethod
    def from_args(cls, args):
        """From what argparse has read."""
        return cls(**{f.name: getattr(args, f.name) for f in fields(cls)})
