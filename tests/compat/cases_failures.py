# SPDX-License-Identifier: Apache-2.0
"""Every way a call fails: the status, the type and the text of its error."""

from compat.case import MULTIPART, ask, case, get, manage, multipart, part, post
from compat.looks import any_order

MISSING = [case(f"{method} {target}", ask(method, target)) for method in ("GET", "POST")
           for target in (
    "/", "/nothing", "/no/such/thing", "/predictions", "/predictions/", "/explanations",
    "/predictions/nobody", "/predictions/nobody/1.0", "/predictions/see/9.9",
    "/predictions/see/9.9/more", "/explanations/nobody", "/explanations/see/9",
    "/models/nobody/invoke", "/models/see/invoke/more", "/models/see", "/models/see/1.0",
    "/models", "/invocations", "/invocations?model_name=nobody", "/invocations/see",
    "/nobody/predict",
    "/see/9/predict", "/see/1.0/predict/more", "/predict", "/v1/models/nobody:predict",
    "/v1/models/see:other", "/v1/models/see", "/v1/models", "/v2/models/nobody/infer",
    "/v2/models/see/other", "/v2/models/see", "/v2", "/v2/health/live", "/v2/health/ready",
    "/wfpredict", "/predictions/%C3%A4%22%3C",
    "/predictions/%3Cscript%3E", "/metrics", "/token", "/token?type=inference",
    "/PREDICTIONS/see", "/Ping", "/predictions/SEE",
)]

TROUBLE = [case(f"trouble {body}", post("/predictions/trouble", body)) for body in (
    "memory", "cuda", "prediction 418 short and stout", "prediction 500 plain",
    'prediction 400 with "quotes" and <signs> & \u00e4', "prediction 404 nothing",
    "prediction 503 later", "prediction 507 full", "prediction_default only text",
    "raise ValueError text", "nonlist", "none", "short", "long", "fine",
)] + [
    case("trouble of an explanation", post("/explanations/trouble", "raise it")),
    case("trouble prediction 413 too much",
         post("/predictions/trouble", "prediction 413 too much",
              differs={"status-413": "status, reason, body"})),
]

DEATHS = [case(f"dies by {way}",
               post("/predictions/fatal", way),
               manage("GET", "/models/fatal", until=lambda a: "READY" in a.body))
          for way in ("exit", "abort")]

ESCAPE = {"bad-escape": "status, reason, body"}


def malformed(name, body):
    return case(f"multipart {name}", post("/predictions/see", body, MULTIPART,
                                          differs={"bad-multipart": "answer"}))


BODIES = [
    case("multipart without boundary",
         post("/predictions/see", b"x", {"Content-Type": "multipart/form-data"},
              look=lambda text: text.count("body"))),
    malformed("that is none", b"text"),
    malformed("not closed", multipart(part("1", "a"))[:-6]),
    malformed("without a name", multipart(part("1"))),
    malformed("without a disposition", multipart(b"\r\n1")),
    case("multipart empty", post("/predictions/see", multipart(), MULTIPART, look=any_order)),
    case("query with a bad escape", get("/invocations?model_name=see&a=%zz", differs=ESCAPE)),
    case("path with a bad escape", get("/ping%zz", differs=ESCAPE)),
    case("escaped slash", get("/predictions/a%2Fb", differs={"escaped-slash": "body"})),
    case("workflow", get("/wfpredict/nobody", differs={"workflows": "body"})),
]

CASES = MISSING + TROUBLE + DEATHS + BODIES
