# SPDX-License-Identifier: Apache-2.0
"""End-to-end tests: the real executable, real sockets, real handlers."""
