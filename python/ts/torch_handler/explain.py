# SPDX-License-Identifier: Apache-2.0
"""Captum, which is imported when somebody asks for an explanation: most models never are."""

import importlib

from ts.utils.util import PredictionException


def attribution(name):
    """The class of that name in captum.attr."""
    try:
        return getattr(importlib.import_module("captum.attr"), name)
    except ImportError as e:
        raise PredictionException("Explanations need the package captum: %s" % e, 503) from e
