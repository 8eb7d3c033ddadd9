# SPDX-License-Identifier: Apache-2.0
"""Text from transformers' generate(), as it comes, for all prompts of a batch at once."""

from ts.utils.packages import require

_streamers = require("transformers.generation.streamers", "ts.handler_utils.hf_batch_streamer")


class TextIteratorStreamerBatch(_streamers.BaseStreamer):
    """Iterating gives lists of {"text": …}, one for every prompt, until one of them has ended."""

    def __init__(self, tokenizer, batch_size, skip_prompt=False, timeout=None, **decode_kwargs):
        self.batch_size = batch_size
        self.streamers = [
            _streamers.TextIteratorStreamer(tokenizer, skip_prompt, timeout, **decode_kwargs)
            for _ in range(batch_size)]
        self.streamer_iterators = [iter(streamer) for streamer in self.streamers]

    def put(self, value):
        if value.shape[0] != self.batch_size:
            raise ValueError("this streamer is for batches of %d, but got a tensor of shape %s"
                             % (self.batch_size, tuple(value.shape)))
        for i, streamer in enumerate(self.streamers):
            streamer.put(value[i:i + 1])

    def end(self):
        for streamer in self.streamers:
            streamer.end()

    def __iter__(self):
        return self

    def __next__(self):
        texts = [next(iterator, None) for iterator in self.streamer_iterators]
        if None in texts:
            raise StopIteration
        return [{"text": text} for text in texts]
