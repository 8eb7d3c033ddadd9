# SPDX-License-Identifier: Apache-2.0
"""Sound in, piece by piece; out comes when somebody has spoken.

A recording is a sequence: each request brings its next samples (16 kHz, mono, 16 bit), and what the
model remembers of those before is kept here, by the id of the sequence.
"""

import io
import wave
from pathlib import Path

import numpy
import onnxruntime

RATE = 16000
WINDOW, BEFORE = 512, 64      # samples that the model hears at a time; those before, repeated
BEGINS, ENDS = 0.5, 0.35      # probabilities
PAUSE = 0.3                   # seconds without speech that end it


class Recording:
    """What is kept of one sequence."""

    def __init__(self):
        self.state = numpy.zeros((2, 1, 128), numpy.float32)
        self.before = numpy.zeros(BEFORE, numpy.float32)
        self.rest = numpy.zeros(0, numpy.float32)
        self.at = 0                        # samples heard
        self.began = self.heard = None     # the speech that goes on: its begin, its last window

    def listen(self, session, samples):
        """The speech that has ended within these samples."""
        ended = []
        samples = numpy.concatenate([self.rest, samples])
        whole = len(samples) // WINDOW * WINDOW
        for i in range(0, whole, WINDOW):
            window = samples[i:i + WINDOW]
            (probability,), self.state = session.run(None, {
                "input": numpy.concatenate([self.before, window])[None], "state": self.state,
                "sr": numpy.array(RATE)})
            self.before = window[-BEFORE:]
            ended += self.hear(probability)
        self.rest = samples[whole:]
        return ended

    def hear(self, probability):
        self.at += WINDOW
        if probability >= (BEGINS if self.began is None else ENDS):
            if self.began is None:
                self.began = self.at - WINDOW
            self.heard = self.at
        elif self.began is not None and self.at - self.heard >= PAUSE * RATE:
            return self.end()
        return []

    def end(self):
        if self.began is None:
            return []
        speech = {"start": round(self.began / RATE, 2), "end": round(self.heard / RATE, 2)}
        self.began = None
        return [speech]


class Handler:
    def initialize(self, context):
        folder = Path(context.system_properties["model_dir"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1    # for so small a model more cost more than they bring
        self.session = onnxruntime.InferenceSession(str(folder / "silero_vad.onnx"), options)
        self.recordings = {}
        # Called when a sequence is over, also when its client has disappeared.
        context.sequence_ended = lambda name: self.recordings.pop(name, None)

    def handle(self, data, context):
        """A batch has one request of each of several sequences."""
        answers = []
        for i, request in enumerate(data):
            try:
                samples = samples_of(request.get("body"))
            except ValueError as e:
                context.set_response_status(400, idx=i)    # the others go on
                answers.append({"code": 400, "message": str(e)})
            else:
                answers.append(self.listen(samples, i, context))
            context.set_response_header(i, context.header_key_sequence_id,
                                        context.get_sequence_id(i))
        return answers

    def listen(self, samples, i, context):
        name = context.get_sequence_id(i)
        if context.get_request_header(i, context.header_key_sequence_start) == "true":
            self.recordings[name] = Recording()
        recording = self.recordings.setdefault(name, Recording())
        speech = recording.listen(self.session, samples)
        if context.get_request_header(i, context.header_key_sequence_end) == "true":
            speech += recording.end()
        return {"heard": round(recording.at / RATE, 2), "speech": speech,
                "speaking": recording.began is not None}


def samples_of(body):
    """The samples of a WAV file, or of bytes without a head, from -1 to 1."""
    body = bytes(body or b"")
    if body.startswith(b"RIFF"):
        body = frames_of(body)
    if len(body) % 2:
        raise ValueError("send whole samples of 16 bits")
    return numpy.frombuffer(body, "<i2").astype(numpy.float32) / 32768


def frames_of(file):
    try:
        with wave.open(io.BytesIO(file)) as sound:
            if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, RATE):
                raise ValueError("send 16 kHz, mono, 16 bit")
            return sound.readframes(sound.getnframes())
    except (wave.Error, EOFError) as e:
        raise ValueError(f"this is no WAV file: {e}") from e
