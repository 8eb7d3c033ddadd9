# SPDX-License-Identifier: Apache-2.0
"""Tells what a message is about: another model embeds it, this one compares.

    {"text": "My parcel has not come."}

Each topic of topics.json has a few sentences; the topic whose embeddings are nearest is the answer.
The other model is asked over HTTP, at the address in model-config.yaml.
"""

import json
import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy
from ts.utils.util import PredictionException


class Embeddings:
    """The model that embeds."""

    def __init__(self, url, timeout):
        self.url, self.timeout = url, timeout
        self.headers = {"Content-Type": "application/json"}
        if "EMBEDDINGS_TOKEN" in os.environ:    # where the server asks for tokens: docs/tokens.md
            self.headers["Authorization"] = "Bearer " + os.environ["EMBEDDINGS_TOKEN"]

    def of(self, texts):
        request = Request(self.url, json.dumps({"texts": texts}).encode(), self.headers)
        try:
            with urlopen(request, timeout=self.timeout) as answer:
                return numpy.array(json.load(answer)["embeddings"])
        except HTTPError as e:
            why = e.read().decode("utf-8", "replace")
            raise PredictionException(f"{self.url} answered {e.code}: {why}", 502) from e
        except OSError as e:
            raise PredictionException(f"{self.url} does not answer: {e}", 502) from e


class Handler:
    def initialize(self, context):
        folder = Path(context.system_properties["model_dir"])
        self.topics = json.loads((folder / "topics.json").read_text())
        settings = context.model_yaml_config["handler"]
        self.embeddings = Embeddings(settings["embeddings"], settings["timeout"])
        self.centres = None

    def handle(self, data, context):
        """One call of the other model for all requests of the batch."""
        if self.centres is None:    # not in initialize: the other model may be loaded later
            self.centres = self.find_centres()
        texts, answers = {}, {}
        for i, request in enumerate(data):
            body = request.get("body")
            if isinstance(body, dict) and isinstance(body.get("text"), str):
                texts[i] = body["text"]
            else:
                context.set_response_status(400, idx=i)    # this request's, not its neighbours'
                answers[i] = {"code": 400, "message": 'send {"text": "..."} as application/json'}
        if texts:
            alike = self.embeddings.of(list(texts.values())) @ self.centres.T
            answers.update({i: self.answer(row) for i, row in zip(texts, alike)})
        return [answers[i] for i in range(len(data))]

    def find_centres(self):
        """For each topic the mean of its sentences' embeddings, of length 1."""
        means = numpy.array([self.embeddings.of(sentences).mean(axis=0)
                             for sentences in self.topics.values()])
        return means / numpy.linalg.norm(means, axis=1, keepdims=True)

    def answer(self, alike):
        named = dict(zip(self.topics, (round(float(a), 2) for a in alike)))
        return {"topic": max(named, key=named.get), "alike": named}
