# SPDX-License-Identifier: Apache-2.0
"""Texts in, embeddings out: 384 numbers a text, close to those of texts that mean the same.

    {"texts": ["A man is playing a guitar.", ...]}
"""

from pathlib import Path

import numpy
import onnxruntime
from tokenizers import Tokenizer


class Handler:
    def initialize(self, context):
        folder = Path(context.system_properties["model_dir"])
        self.most = context.model_yaml_config["handler"]["texts"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_padding()    # to the longest text of a call, not to 128 tokens
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"))

    def handle(self, data, context):
        """The texts of all requests of the batch go through the model together."""
        asked, refused = [], {}
        for i, request in enumerate(data):
            try:
                asked.append(self.texts(request.get("body")))
            except ValueError as e:
                asked.append([])
                refused[i] = {"code": 400, "message": str(e)}
                context.set_response_status(400, idx=i)    # this request's, not its neighbours'
        texts = [text for one in asked for text in one]
        vectors = iter(self.embed(texts).tolist() if texts else [])
        return [refused.get(i) or {"embeddings": [next(vectors) for _ in one]}
                for i, one in enumerate(asked)]

    def texts(self, body):
        texts = body.get("texts") if isinstance(body, dict) else None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError('send {"texts": ["...", ...]} as application/json')
        if not 0 < len(texts) <= self.most:
            raise ValueError(f"send 1 to {self.most} texts a request")
        return texts

    def embed(self, texts):
        tokens = self.tokenizer.encode_batch(texts)
        ids = numpy.array([t.ids for t in tokens])
        mask = numpy.array([t.attention_mask for t in tokens])
        states, = self.session.run(None, {"input_ids": ids, "attention_mask": mask,
                                          "token_type_ids": numpy.zeros_like(ids)})
        # The mean of the tokens that are no padding, of length 1.
        means = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return means / numpy.linalg.norm(means, axis=1, keepdims=True)
