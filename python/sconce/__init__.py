# SPDX-License-Identifier: Apache-2.0
"""The Python side of sconce: worker processes that run TorchServe handlers.

Standard library only; torch and numpy are imported only by handlers that import them.
"""
