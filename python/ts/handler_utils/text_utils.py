# SPDX-License-Identifier: Apache-2.0
"""Tokens of a text, as torchtext makes them, without needing it."""

# In this order: each sees what those before it have left.
_BASIC_ENGLISH = (("'", " '  "), ('"', ""), (".", " . "), ("<br />", " "), (",", " , "),
                  ("(", " ( "), (")", " ) "), ("!", " ! "), ("?", " ? "), (";", " "), (":", " "))


def ngrams_iterator(token_list, ngrams):
    """The tokens, then all pairs of neighbours joined by a space, and so on up to `ngrams`."""
    yield from token_list
    for length in range(2, ngrams + 1):
        for i in range(len(token_list) - length + 1):
            yield " ".join(token_list[i:i + length])


def _basic_english_normalize(line):
    line = line.lower()
    for mark, replacement in _BASIC_ENGLISH:
        line = line.replace(mark, replacement)
    return line.split()


def _split_tokenizer(line):
    return line.split()


def get_tokenizer(tokenizer, language="en"):
    """A function from a text to its tokens: None splits at spaces, "basic_english" also takes
    punctuation apart, and a function is used as it is."""
    if tokenizer is None:
        return _split_tokenizer
    if callable(tokenizer):
        return tokenizer
    if tokenizer != "basic_english":
        raise ValueError("the tokenizer is None, \"basic_english\" or a function, not %r"
                         % (tokenizer,))
    if language != "en":
        raise ValueError("basic_english is for texts in English (\"en\"), not %r" % (language,))
    return _basic_english_normalize
