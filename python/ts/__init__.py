# SPDX-License-Identifier: Apache-2.0
"""What TorchServe handlers import, provided by sconce.

Importing this package imports neither torch nor numpy; ts.torch_handler does.
"""

from ts.version import __version__  # noqa: F401
