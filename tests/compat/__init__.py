# SPDX-License-Identifier: Apache-2.0
"""Asks TorchServe and sconce the same and compares what they answer: `make test-compat`."""
