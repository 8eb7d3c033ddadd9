# SPDX-License-Identifier: Apache-2.0
"""Service envelopes: what a handler gets of a body, and what the client gets of its answer."""

from compat.case import FORM, JSON, case, post


def enveloped(envelope, body, target=None, headers=JSON, **more):
    name = f"{body[:60]} {target or ''} {'' if headers else 'bytes'}"
    return case(name, post(target or "/predictions/taken", body, headers, **more),
                config=f"envelope-{envelope}")


V1 = '{"instances": [1, "two", {"b64": "AQI="}, {"data": 3}]}'
V2 = ('{"id": "i1", "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", '
      '"data": [1, 2, 3, 4]}]}')
CASES = [
    enveloped("body", '{"a": 1}'), enveloped("body", "text", headers={}),
    enveloped("body", "data=x", headers=FORM), enveloped("body", "other=x", headers=FORM),
    enveloped("json", V1),
    enveloped("json", '{"instances": []}', differs={"no-instances": "body"}),
    enveloped("json", '{"a": 1}'),
    enveloped("json", V1, headers={}), enveloped("json", "no json"),
    enveloped("kserve", V1), enveloped("kserve", V1, headers={}),
    enveloped("kserve", V1, "/v1/models/taken:predict"),
    enveloped("kserve", V1, "/v1/models/taken:explain"),
    enveloped("kserve", V1, "/explanations/taken"),
    enveloped("kserve", '{"instances": []}'), enveloped("kserve", '{"a": 1}'),
    enveloped("kserve", "no json", headers={}), enveloped("kserve", "[1, 2]"),
    enveloped("kservev2", V2), enveloped("kservev2", V2, "/v2/models/taken/infer"),
    enveloped("kservev2", V2, "/v2/models/taken/explain"),
    enveloped("kservev2", V2, headers={}),
    enveloped("kservev2", V2.replace('"id": "i1", ', "")),
    enveloped("kservev2", '{"inputs": [{"name": "s", "shape": [2], "datatype": "BYTES", '
                          '"data": ["a", "b"]}]}'),
    enveloped("kservev2", '{"inputs": [{"name": "a", "shape": [1], "datatype": "INT64", '
                          '"data": [7]}, {"name": "b", "shape": [1, 3], "datatype": "UINT8", '
                          '"data": [1, 2, 3]}]}'),
    enveloped("kservev2", '{"inputs": [{"name": "a", "shape": [3], "datatype": "INT64", '
                          '"data": [7]}]}'),
    enveloped("kservev2", '{"inputs": []}'), enveloped("kservev2", '{"a": 1}'),
    enveloped("kservev2", "no json", headers={}),
]
