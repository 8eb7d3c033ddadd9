# SPDX-License-Identifier: Apache-2.0
"""
What handlers log goes to their standard output as bare lines, INFO and above: the server adds time,
model and worker. `logging` itself is left to the first module that wants it; it is not small.
"""

import sys
from importlib.machinery import PathFinder


def _basic(logging):
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)


class _OnImport:
    """Finds `logging`, once, and sets it up as soon as it is there."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def run_and_configure(module):
            run(module)
            _basic(module)

        spec.loader.exec_module = run_and_configure
        return spec


def configure():
    if "logging" in sys.modules:
        _basic(sys.modules["logging"])
    else:
        sys.meta_path.insert(0, _OnImport())
