# SPDX-License-Identifier: Apache-2.0
"""Adds up the numbers of a sequence, and says what it was told about it."""

SUMS = {}


def handle(data, context):
    if data is None:
        return None
    replies = []
    for i, row in enumerate(data):
        name = context.get_sequence_id(i)
        SUMS[name] = SUMS.get(name, 0) + int(bytes(row["body"]))
        flags = {key: context.get_request_header(i, key)
                 for key in (context.header_key_sequence_start, context.header_key_sequence_end)}
        context.set_response_header(i, context.header_key_sequence_id, name)
        replies.append({"id": name, "sum": SUMS[name], **flags})
    return replies
