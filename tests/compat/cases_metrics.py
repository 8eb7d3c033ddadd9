# SPDX-License-Identifier: Apache-2.0
"""The text of /metrics: families, help, types and labels, of the server's and handlers' metrics."""

from compat.case import ask, case, get, post
from compat.looks import families


def metrics(query="", **more):
    return get(f"/metrics{query}", on="metrics", look=families, **more)


CASES = [
    case("metrics of handlers", post("/predictions/measure", "x"),
         get("/metrics", on="metrics", look=families, until=lambda a: "CacheFill" in a.body)),
    case("metrics by name", metrics("?name[]=Requests2XX"),
         metrics("?name[]=Requests2XX&name[]=QueueTime"), metrics("?name[]=none"),
         metrics("?name%5B%5D=Requests4XX")),
    case("metrics by another name", metrics("?name=Requests2XX")),
] + [case(f"metrics {target}", get(target, on="metrics"))
     for target in ("/", "/nothing", "/ping", "/models")
] + [case(f"metrics {method} {target}", ask(method, target, on="metrics", differs={
        "metrics-routes": "answer"}))
     for method, target in (("POST", "/metrics"), ("PUT", "/metrics"), ("GET", "/metrics/more"))]
