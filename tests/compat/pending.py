# SPDX-License-Identifier: Apache-2.0
"""Cases that may differ: known, and neither mended nor declared yet. {name: what has to come}"""

PENDING = {
    "metrics of handlers": "families without samples, labels of series",
    "metrics by another name": "families without samples, labels of series",
    "metrics of the server in logs": "the server's metrics in ts_metrics.log",
    "metrics of handlers in logs": "PredictionTime, and lines of model_metrics.log",
    "log files": "all five log files",
}
