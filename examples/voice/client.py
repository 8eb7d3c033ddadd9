# SPDX-License-Identifier: Apache-2.0
"""Sends a WAV file half a second at a time, as a microphone would, and prints what is heard."""

import http.client
import json
import sys
import uuid
import wave

connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
name = str(uuid.uuid4())
with wave.open(sys.argv[1]) as sound:
    piece, left = sound.getframerate() // 2, sound.getnframes()
    while left > 0:
        headers = {"Content-Type": "application/octet-stream", "ts_request_sequence_id": name}
        if left == sound.getnframes():
            headers["ts_request_sequence_start"] = "true"
        left -= piece
        if left <= 0:
            headers["ts_request_sequence_end"] = "true"
        connection.request("POST", "/predictions/voice", sound.readframes(piece), headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(body.decode())
        heard = json.loads(body)
        says = ["speaking" if heard["speaking"] else "-"]
        says += [f"from {speech['start']} to {speech['end']}" for speech in heard["speech"]]
        print(f"{heard['heard']:5.2f} s  {', '.join(says)}")
connection.close()
