# SPDX-License-Identifier: Apache-2.0
"""Of TorchServe's archiver that this stands in for."""

__version__ = "0.12.0"
