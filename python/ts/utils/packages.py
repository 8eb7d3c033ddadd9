# SPDX-License-Identifier: Apache-2.0
"""Packages that only some models need: imported when they are, with a line that says what to do."""

import importlib


def require(module, user):
    """The module of that name. `user`: what cannot do without it, for the message."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        raise ImportError("%s needs the package %s, which cannot be imported (%s): install it in "
                          "the Python of the workers, or name it in the archive's "
                          "requirements.txt" % (user, module.partition(".")[0], e),
                          name=e.name) from e
