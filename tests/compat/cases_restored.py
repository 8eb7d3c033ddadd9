# SPDX-License-Identifier: Apache-2.0
"""A server that starts from a snapshot, with settings from its environment."""

from compat.case import bare, cases_for, get, manage, post

case = cases_for("restored")

LOADED = {"until": lambda answer: '"status": "READY"' in answer.body}
AT_START = {"differs": {"restored-at-startup": "body"}}

CASES = [
    case("restored models", manage("GET", "/models/see/1.0", **LOADED, **AT_START),
         manage("GET", "/models"), *(manage("GET", f"/models/{path}", **AT_START) for path in (
             "see", "see/2.0", "see/all", "echo", "echo/1.0"))),
    case("restored versions", post("/predictions/see/1.0", "x", look=len),
         post("/predictions/see", "x"), post("/predictions/echo", "x"), get("/ping")),
    case("settings of the environment",
         post("/predictions/see/1.0", "x" * 501, differs=bare("origin")),
         manage("POST", "/models?url=count.mar"), manage("GET", "/models/count"),
         manage("DELETE", "/models/count"),
         get("/metrics", on="metrics", differs={"own-metrics": "body"})),
]
