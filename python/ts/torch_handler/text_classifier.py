# SPDX-License-Identifier: Apache-2.0
"""Default handler `text_classifier`: a text to the probabilities of its classes.

Of a batch only the first request counts: its models take one text.
"""

import torch

from ts.handler_utils.text_utils import ngrams_iterator
from ts.torch_handler.explain import attribution
from ts.torch_handler.text_handler import TextHandler, usual_dimension
from ts.utils.util import map_class_to_label


class TextClassifier(TextHandler):
    ngrams = 2

    def preprocess(self, data):
        """(numbers of tokens and pairs of tokens, tokens) of the first text."""
        text = data[0].get("data") or data[0].get("body")
        if isinstance(text, (bytes, bytearray)):
            text = text.decode("utf-8")
        text = self._remove_html_tags(text).lower()
        text = self._remove_accented_characters(self._expand_contractions(text))
        tokens = self._tokenize(self._remove_punctuation(text))
        numbers = [self.source_vocab[token] for token in ngrams_iterator(tokens, self.ngrams)]
        return torch.as_tensor(numbers, device=self.device), tokens

    def inference(self, data, *args, **kwargs):
        numbers, _tokens = data
        return super().inference(numbers, torch.as_tensor([0], device=self.device))

    def postprocess(self, data):
        """A dict of names and probabilities, in the order of the classes."""
        probabilities = torch.softmax(data, dim=usual_dimension(data))
        return map_class_to_label(probabilities.tolist(), self.mapping)

    def get_insights(self, text_preprocess, _, target=0):
        """How much each token counts for class `target`."""
        numbers, tokens = text_preprocess
        reference = attribution("TokenReferenceBase")().generate_reference(
            numbers.shape[0], device=self.device).squeeze(0)
        offsets = torch.tensor([0]).to(self.device)
        attributions = self.lig.attribute(numbers, reference, additional_forward_args=(offsets),
                                          return_convergence_delta=False, target=target)
        return [{"importances": self.summarize_attributions(attributions).tolist(),
                 "words": self.get_word_token(tokens)}]
