# SPDX-License-Identifier: Apache-2.0
"""`python -m ts.model_server …` is `torchserve …`."""

import os
import sys


def start():
    """Becomes the `torchserve` that is found in PATH, with the arguments of this process."""
    try:
        os.execvp("torchserve", ["torchserve"] + sys.argv[1:])
    except OSError as e:
        sys.exit("torchserve cannot be run: %s; is its folder in PATH?" % e)


if __name__ == "__main__":
    start()
