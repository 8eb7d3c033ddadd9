# SPDX-License-Identifier: Apache-2.0
"""Names that some handlers import from here."""

from ts.utils.util import PredictionException  # noqa: F401

PREDICTION_METRIC = "PredictionTime"
