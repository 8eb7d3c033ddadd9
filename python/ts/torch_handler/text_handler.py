# SPDX-License-Identifier: Apache-2.0
"""The base of handlers whose input is text."""

import os
import re
import string
import unicodedata

import torch

from ts.handler_utils.text_utils import get_tokenizer
from ts.torch_handler.base_handler import BaseHandler
from ts.torch_handler.contractions import CONTRACTION_MAP
from ts.torch_handler.explain import attribution
from ts.torch_handler.vocabulary import load_vocabulary
from ts.utils.util import CLEANUP_REGEX, ENTITY  # noqa: F401  (the first may be imported from here)

CONTRACTIONS_PATTERN = re.compile("(%s)" % "|".join(CONTRACTION_MAP), re.IGNORECASE | re.DOTALL)

# A "<" up to where its tag ends, or where none does, to the end of the line: CLEANUP_REGEX would
# look for that end from each "<" of a line anew, and clients may send a million of them.
_TAG = re.compile(r"<[^>\n]*>?|" + ENTITY)

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def usual_dimension(tensor):
    """Where torch's softmax goes along when nobody says: handlers and models count on it."""
    return 0 if tensor.dim() in (0, 1, 3) else 1


def _expand(match):
    short = match.group(0)
    whole = CONTRACTION_MAP.get(short) or CONTRACTION_MAP[short.lower()]
    return short[0] + whole[1:]    # its first letter stays as it was written


def _cleaned(match):
    found = match.group(0)
    ends = found[0] == "&" or found[-1] == ">"
    return "" if ends else re.sub(ENTITY, "", found)


class TextHandler(BaseHandler):
    _lig = None

    def __init__(self):
        super().__init__()
        self.source_vocab = None
        self.tokenizer = get_tokenizer("basic_english")
        self.input_text = None
        self.initialized = None

    def initialize(self, context):
        """Loads the model and the vocabulary."""
        super().initialize(context)
        self.initialized = False
        old = self.manifest["model"].get("sourceVocab")    # in manifests of early versions
        self.source_vocab = load_vocabulary(old or self.get_source_vocab_path(context))
        self.initialized = True

    def get_source_vocab_path(self, ctx):
        path = os.path.join(ctx.system_properties.get("model_dir"), "source_vocab.pt")
        if not os.path.isfile(path):
            raise Exception("the archive has no source_vocab.pt: a text handler needs the numbers "
                            "of tokens (torch-model-archiver --extra-files source_vocab.pt)")
        return path

    @property
    def lig(self):
        """Captum's integrated gradients of the layer `embedding` of the model."""
        if self._lig is None:
            self._lig = attribution("LayerIntegratedGradients")(self.model, self.model.embedding)
        return self._lig

    @lig.setter
    def lig(self, lig):
        self._lig = lig

    def _expand_contractions(self, text):
        return CONTRACTIONS_PATTERN.sub(_expand, text).replace("'", "")

    def _remove_accented_characters(self, text):
        """Letters lose their accents; what is not ASCII then is dropped."""
        return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")

    def _remove_html_tags(self, text):
        """Tags and character references, as CLEANUP_REGEX finds them."""
        return _TAG.sub(_cleaned, text)

    def _remove_punctuation(self, text):
        return text.translate(_NO_PUNCTUATION)

    def _remove_puncutation(self, *args, **kwargs):
        """The name that early versions had."""
        return self._remove_punctuation(*args, **kwargs)

    def _tokenize(self, text):
        return self.tokenizer(text)

    def get_word_token(self, input_tokens):
        """Tokens without the mark that some tokenizers put for a space."""
        return [token.replace("\u0120", "") for token in input_tokens]

    def summarize_attributions(self, attributions):
        attributions = torch.softmax(attributions, dim=usual_dimension(attributions))
        return attributions / torch.norm(attributions.sum(dim=-1))
