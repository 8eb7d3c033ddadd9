# SPDX-License-Identifier: Apache-2.0
"""Needs a module that is not there."""

import a_module_that_nobody_has


def handle(data, context):
    return [a_module_that_nobody_has for _ in data]
