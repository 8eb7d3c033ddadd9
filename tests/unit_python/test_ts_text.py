# SPDX-License-Identifier: Apache-2.0
"""Texts on their way to a model: tokens, contractions, vocabularies, text_classifier."""

import json
import pickle
import random
import sys
import types
from collections import defaultdict

import pytest

from ts.context import Context, RequestProcessor
from ts.handler_utils.text_utils import get_tokenizer, ngrams_iterator
from ts.torch_handler.contractions import CONTRACTION_MAP


# ---- without torch ----

@pytest.mark.parametrize("n,expected", [
    (1, ["here", "we", "are"]),
    (2, ["here", "we", "are", "here we", "we are"]),
    (3, ["here", "we", "are", "here we", "we are", "here we are"]),
    (9, ["here", "we", "are", "here we", "we are", "here we are"]),
])
def test_ngrams(n, expected):
    assert list(ngrams_iterator(["here", "we", "are"], n)) == expected


@pytest.mark.parametrize("text,tokens", [
    ("You can serve it!", ["you", "can", "serve", "it", "!"]),
    ("It's (3.5),\nso: \"good\"; isn't it?",
     ["it", "'", "s", "(", "3", ".", "5", ")", ",", "so", "good", "isn", "'", "t", "it", "?"]),
    ("one<br />two", ["one", "two"]),
    ("one<br;/>two", ["one<br", "/>two"]),
    ("", []),
])
def test_basic_english(text, tokens):
    assert get_tokenizer("basic_english")(text) == tokens


def test_other_tokenizers():
    assert get_tokenizer(None)("It's  here.") == ["It's", "here."]
    assert get_tokenizer(len) is len
    with pytest.raises(ValueError, match="basic_english"):
        get_tokenizer("spacy")
    with pytest.raises(ValueError, match="English"):
        get_tokenizer("basic_english", language="de")


def test_contractions():
    assert len(CONTRACTION_MAP) == 123
    assert CONTRACTION_MAP["can't've"] == "cannot have"
    assert CONTRACTION_MAP["couldn't've"] == "could not have"
    assert CONTRACTION_MAP["he'll've"] == "he he will have"    # models have learned it like this
    order = list(CONTRACTION_MAP)
    assert order[:4] == ["ain't", "aren't", "can't", "can't've"] and order[-1] == "you've"


# ---- with torch ----

MODEL = '''
import torch


class Sum(torch.nn.Module):
    """The answer is the sum of the embeddings: column k of row n is 1 where n is 2 to the k."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.EmbeddingBag(8, 3, mode="sum")

    def forward(self, text, offsets):
        return self.embedding(text, offsets)
'''


@pytest.fixture
def folder(torch, tmp_path, monkeypatch):
    (tmp_path / "sum_of_words.py").write_text(MODEL)
    weights = torch.zeros(8, 3)
    for k in range(3):
        weights[2 ** k, k] = 1.0
    torch.save({"embedding.weight": weights}, tmp_path / "model.pt")
    torch.save({"the": 1, "cat": 2, "the cat": 4}, tmp_path / "source_vocab.pt")
    (tmp_path / "index_to_name.json").write_text(json.dumps({"0": "a", "1": "b", "2": "c"}))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("sum_of_words", None)


def context(folder, **headers):
    made = Context("text", str(folder), {"model": {
        "serializedFile": "model.pt", "modelFile": "sum_of_words.py"}}, 1, None, "x")
    made.request_ids = {0: "an-id"}
    made.request_processor = [RequestProcessor(headers)]
    return made


@pytest.fixture
def classifier(folder):
    from ts.torch_handler.text_classifier import TextClassifier

    handler = TextClassifier()
    handler.initialize(context(folder))
    assert handler.initialized
    return handler


def test_text_is_cleaned_before_it_is_looked_up(classifier):
    class Numbers:
        def __getitem__(self, token):
            return len(token)

    classifier.source_vocab = Numbers()
    text = "<b>He's</b> not &amp; WON'T; caf\u00e9 \u2014 I'd've $10!"
    numbers, tokens = classifier.preprocess([{"body": text}])
    assert tokens == ["he", "is", "not", "will", "not", "cafe", "i", "wouldve", "10"]
    assert numbers.tolist()[:9] == [len(token) for token in tokens]
    assert numbers.tolist()[9:] == [len(f"{a} {b}") for a, b in zip(tokens, tokens[1:])]


def test_tags_are_those_of_the_expression_that_handlers_know(classifier):
    from ts.utils.util import CLEANUP_REGEX

    parts = ["<", ">", "<b>", "&", "amp;", ";", "#", "12", "x1f", "\n", "\r", "a", "&lt;", "\u2028"]
    rng = random.Random(1)
    for _ in range(5000):
        text = "".join(rng.choices(parts, k=rng.randint(0, 14)))
        assert classifier._remove_html_tags(text) == CLEANUP_REGEX.sub("", text), repr(text)
    # By that expression it would take hours.
    assert classifier._remove_html_tags("<" * 1_000_000) == "<" * 1_000_000


@pytest.mark.parametrize("text", ["The cat", b"the cat", bytearray(b"<p>THE cat!</p>")])
def test_text_classifier(classifier, folder, text):
    answers = classifier.handle([{"data": text}, {"data": "the"}], context(folder))
    assert answers == [pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})]
    one = classifier.handle([{"body": "the"}], context(folder))[0]
    assert list(one) == ["a", "b", "c"] and max(one, key=one.get) == "a"


def test_text_handler_without_a_vocabulary(folder):
    from ts.torch_handler.text_classifier import TextClassifier

    (folder / "source_vocab.pt").unlink()
    with pytest.raises(Exception, match="has no source_vocab.pt"):
        TextClassifier().initialize(context(folder))


def test_explanation_of_a_text(classifier, folder, monkeypatch):
    import torch

    class Gradients:
        def __init__(self, model, layer):
            assert layer is model.embedding

        def attribute(self, numbers, reference, additional_forward_args,
                      return_convergence_delta, target):
            assert numbers.shape == reference.shape and additional_forward_args.tolist() == [0]
            assert target == 1
            return torch.zeros(len(numbers), 3)

    class Reference:
        def generate_reference(self, length, device):
            return torch.zeros(1, length, dtype=torch.long)

    attr = types.ModuleType("captum.attr")
    attr.LayerIntegratedGradients, attr.TokenReferenceBase = Gradients, Reference
    monkeypatch.setitem(sys.modules, "captum", types.ModuleType("captum"))
    monkeypatch.setitem(sys.modules, "captum.attr", attr)
    answer = classifier.handle([{"data": "the cat", "target": 1}],
                               context(folder, explain="True"))
    assert answer[0]["words"] == ["the", "cat"]
    assert answer[0]["importances"] == [pytest.approx([1 / 3 / 3 ** 0.5] * 3)] * 3


def test_explanation_without_captum(classifier, folder, monkeypatch):
    from ts.utils.util import PredictionException

    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(PredictionException, match="needs the package captum") as failure:
        classifier.handle([{"data": "the"}], context(folder, explain="True"))
    assert failure.value.error_code == 503


# ---- vocabularies of torchtext, which is not installed ----

def unknown():
    return 0


@pytest.fixture
def torchtext(torch, monkeypatch):
    """Modules of its names, to pickle from."""
    modules = {name: types.ModuleType(name)
               for name in ("torchtext", "torchtext.vocab", "torchtext._torchtext")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)

    def define(module, state):
        def reduce(self, _protocol):
            return object.__new__, (type(self),), state
        made = type("Vocab", (), {"__module__": module, "__reduce_ex__": reduce})
        modules[module].Vocab = made
        return made()

    return define


def saved(path, value, monkeypatch):
    import torch

    from ts.torch_handler.vocabulary import load_vocabulary

    torch.save(value, path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchtext"]:
        monkeypatch.delitem(sys.modules, name)
    return load_vocabulary(path)


def test_vocabulary_of_the_compiled_class(torchtext, tmp_path, monkeypatch):
    compiled = torchtext("torchtext._torchtext", ("0.0.2", [0], ["<unk>", "the", "cat"], []))
    vocabulary = saved(tmp_path / "v.pt", torchtext("torchtext.vocab", {"vocab": compiled}),
                       monkeypatch)
    assert vocabulary(["cat", "dog", "the"]) == [2, 0, 1]
    assert len(vocabulary) == 3 and "cat" in vocabulary and "dog" not in vocabulary


def test_vocabulary_without_a_default(torchtext, tmp_path, monkeypatch):
    compiled = torchtext("torchtext._torchtext", ("0.0.2", [], ["the", "cat"], []))
    vocabulary = saved(tmp_path / "v.pt", compiled, monkeypatch)
    assert vocabulary["cat"] == 1
    with pytest.raises(KeyError, match="'dog' is not in the vocabulary"):
        vocabulary["dog"]


def test_vocabulary_of_early_versions(torchtext, tmp_path, monkeypatch):
    old = torchtext("torchtext.vocab", {"stoi": {"<unk>": 0, "cat": 1}, "unk_index": 0,
                                        "itos": ["<unk>", "cat"]})
    vocabulary = saved(tmp_path / "v.pt", old, monkeypatch)
    assert (vocabulary["cat"], vocabulary["dog"]) == (1, 0)


def test_vocabulary_of_the_first_versions(torchtext, tmp_path, monkeypatch):
    old = torchtext("torchtext.vocab", {"stoi": defaultdict(unknown, cat=1), "itos": ["?", "cat"]})
    monkeypatch.setattr(unknown, "__module__", "torchtext.vocab")
    monkeypatch.setattr(unknown, "__qualname__", "_default_unk_index")
    sys.modules["torchtext.vocab"]._default_unk_index = unknown
    vocabulary = saved(tmp_path / "v.pt", old, monkeypatch)
    assert (vocabulary["cat"], vocabulary["dog"]) == (1, 0)


def test_any_other_vocabulary_is_used_as_it_is(torch, tmp_path, monkeypatch):
    assert saved(tmp_path / "v.pt", {"the": 1}, monkeypatch) == {"the": 1}
    with pytest.raises((pickle.UnpicklingError, EOFError, RuntimeError)):
        (tmp_path / "bad.pt").write_bytes(b"junk")
        from ts.torch_handler.vocabulary import load_vocabulary
        load_vocabulary(tmp_path / "bad.pt")
