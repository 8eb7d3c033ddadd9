# SPDX-License-Identifier: Apache-2.0
"""The TorchServe version whose handler interface this package provides."""

__version__ = "0.12.0"
