# SPDX-License-Identifier: Apache-2.0
"""Answers with the status, headers and content type that the request asks for."""


def handle(data, context):
    if data is None:
        return None
    for i, row in enumerate(data):
        wish = row["body"]
        if "status" in wish:
            context.set_response_status(wish["status"], wish.get("phrase", ""), i)
        if "type" in wish:
            context.set_response_content_type(i, wish["type"])
        for name, value in wish.get("headers", {}).items():
            context.set_response_header(i, name, value)
    return [row["body"].get("body", "") for row in data]
