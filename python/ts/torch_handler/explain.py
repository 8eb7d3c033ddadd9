# SPDX-License-Identifier: Apache-2.0
"""Captum, which is imported when somebody asks for an explanation: most models never are."""

from ts.utils.packages import require
from ts.utils.util import PredictionException


def attribution(name):
    """The class of that name in captum.attr."""
    try:
        return getattr(require("captum.attr", "an explanation"), name)
    except ImportError as e:
        raise PredictionException(str(e), 503) from e
