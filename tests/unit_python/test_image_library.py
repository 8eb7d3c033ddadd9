# SPDX-License-Identifier: Apache-2.0
"""The structs of sconce.image are those of the library that is built from the same tree. Where
they are not, all goes on with Pillow and nobody is told: so this is tried wherever it is built."""

import os

import pytest

from sconce.image import Unavailable, library


def test_the_library_of_this_tree_has_our_structs():
    if not any(map(os.path.exists, library._places())):
        pytest.skip("libsconce-image.so is not built")
    try:
        library.load()
    except Unavailable as e:
        pytest.fail(str(e))
