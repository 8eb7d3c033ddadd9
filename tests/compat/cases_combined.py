# SPDX-License-Identifier: Apache-2.0
"""One listener for everything, models from JSON, metrics in logs, and a manifest's envelope."""

from compat.case import JSON, cases_for, get, post
from compat.cases_envelopes import V1
from compat.looks import operations

case = cases_for("combined")

TOGETHER = [case(f"together {target}", get(target)) for target in (
    "/ping", "/models", "/models/see", "/models/nobody",
    "/models/see/1.0/x", "/v1/models/see", "/v1/models/nobody", "/nothing", "/predictions/nobody",
    "/models/see/invoke/x", "/see", "/token",
)] + [
    case(f"together {target}", get(target, differs={"combined-versions": "answer"}))
    for target in ("/models/see/1.0", "/models/see/all")
] + [
    case("together described", get("/api-description", look=operations,
                                   differs={"api-documents": "body"})),
    case("together invoked", post("/models/see/invoke", "x", look=lambda text: len(text) > 100)),
    case("metrics in logs", get("/metrics", on="metrics", differs={"own-metrics": "body"})),
]

MANIFEST = [
    case("an envelope of the manifest", post("/predictions/enveloped", V1, JSON, differs={
        "manifest-envelope": "body"})),
]

CASES = TOGETHER + MANIFEST
