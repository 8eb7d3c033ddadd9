# SPDX-License-Identifier: Apache-2.0
"""Folders of models, for tests of handlers."""

import os
import shutil
import urllib.request


def download_model(model_url, model_dir):
    """The file at the URL as `model.pt` of the folder."""
    with urllib.request.urlopen(model_url) as source, \
            open(os.path.join(model_dir, "model.pt"), "wb") as f:
        shutil.copyfileobj(source, f)


def copy_files(src_dir, dst_dir, files):
    """`files`: names in the one folder, and those they get in the other."""
    for source, target in files.items():
        shutil.copyfile(os.path.join(src_dir, source), os.path.join(dst_dir, target))
