# SPDX-License-Identifier: Apache-2.0
"""Engines, each in a process of its own, against what runs their models in Python."""
