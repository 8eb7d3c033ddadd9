# SPDX-License-Identifier: Apache-2.0
"""What the READMEs of the examples promise and their commands do not show."""

import json
import re
import subprocess
import wave
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.server import eventually
from examples.conftest import PYTHON


def ask(server, model, body, status=200):
    answer = server.predict(model, json.dumps(body),
                            headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    return answer.json()


def from_packages(expression):
    """What an expression says in the examples' Python, which has scikit-learn."""
    done = subprocess.run([PYTHON, "-c", f"import json\nprint(json.dumps({expression}))"],
                          stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


# ---- tabular ----

def test_wines_are_told_apart(server):
    names, table, classes = from_packages(
        "[__import__('sklearn.datasets').datasets.load_wine()[k] if k == 'feature_names' else "
        "__import__('sklearn.datasets').datasets.load_wine()[k].tolist() "
        "for k in ('feature_names', 'data', 'target')]")
    rows = [dict(reversed([*zip(names, row)])) for row in table]    # the order does not matter
    answers = ask(server, "wine", {"rows": rows})["predictions"]
    right = sum(answer["class"] == f"class_{known}" for answer, known in zip(answers, classes))
    assert right >= 0.97 * len(classes)
    assert all(abs(sum(a["probabilities"].values()) - 1) < 0.01 for a in answers)


@pytest.mark.parametrize("body", [[], {}, {"rows": []}, {"rows": 1}, {"rows": [1]}, "text"])
def test_what_is_no_table_is_refused(server, body):
    assert ask(server, "wine", body, 400)["message"]


# ---- embeddings ----

def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


def test_texts_that_mean_the_same_are_alike(server):
    dog, puppy, tax = ask(server, "minilm", {"texts": [
        "The dog plays in the garden.", "A puppy is running around on the lawn.",
        "Income tax returns are due in April."]})["embeddings"]
    assert all(len(vector) == 384 and abs(cosine(vector, vector) - 1) < 1e-3
               for vector in (dog, puppy, tax))
    assert cosine(dog, puppy) > 0.4 > cosine(dog, tax) + 0.2


def test_a_text_has_the_same_embedding_in_any_company(server):
    short, long = "Hello.", "A long text. " * 200
    alone, = ask(server, "minilm", {"texts": [short]})["embeddings"]
    with_another = ask(server, "minilm", {"texts": [short, long]})["embeddings"][0]
    assert cosine(alone, with_another) > 0.99


@pytest.mark.parametrize("body", [{}, {"texts": []}, {"texts": [1]}, {"texts": ["a"] * 65}, [1]])
def test_what_are_no_texts_is_refused(server, body):
    assert ask(server, "minilm", body, 400)["message"].startswith("send ")


# ---- voice ----

def listen(server, name, piece, *marks):
    headers = {"ts_request_sequence_id": name, "Content-Type": "application/octet-stream",
               **{f"ts_request_sequence_{mark}": "true" for mark in marks}}
    answer = server.predict("voice", piece, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pieces_of(sample, size):
    with wave.open(str(sample)) as sound:
        whole = sound.readframes(sound.getnframes())
    return [whole[i:i + 2 * size] for i in range(0, len(whole), 2 * size)]


def test_recordings_that_come_at_the_same_time_do_not_mix(server, examples):
    sample = examples / "voice" / "sample.wav"
    whole = listen(server, "whole", sample.read_bytes(), "start", "end")
    first, second = whole["speech"]
    assert 0.7 < first["start"] < 1 < 2 < first["end"] < 3.2 < second["start"] < 3.6
    pieces = pieces_of(sample, 3000)
    silence = bytes(6000)
    heard, nothing = [], []
    for i, piece in enumerate(pieces):
        marks = ["start"] * (i == 0) + ["end"] * (i == len(pieces) - 1)
        heard += listen(server, "a", piece, *marks)["speech"]
        nothing += listen(server, "b", silence, *marks)["speech"]
    assert heard == whole["speech"]
    assert nothing == []


def test_what_is_no_sound_is_refused(server):
    for body in (b"RIFF and nothing more", b"odd"):
        answer = server.predict("voice", body, headers={
            "ts_request_sequence_id": "c", "ts_request_sequence_start": "true",
            "ts_request_sequence_end": "true"})
        assert answer.status_code == 400, answer.text


# ---- streaming ----

def events(answer):
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line]


def test_a_text_comes_in_events(server):
    answers = [server.predict("writer", {"prompt": "The", "words": 4, "seed": seed})
               for seed in (1, 1, 2)]
    assert {a.headers["Content-Type"] for a in answers} == {"text/event-stream"}
    assert {a.headers["Transfer-Encoding"] for a in answers} == {"chunked"}
    first, again, other = map(events, answers)
    assert first == again != other
    assert first[0] == {"text": "The "} and first[-1] == {"end": True}
    assert 2 <= len(first) <= 6


def test_a_client_that_leaves_frees_the_worker(server):
    with server.call("POST", "/predictions/writer", data={"prompt": "When"}, stream=True) as answer:
        assert next(answer.iter_lines()) == b'data: {"text": "When "}'
    assert events(server.predict("writer", {"prompt": "If", "words": 0})) == [
        {"text": "If "}, {"end": True}]


@pytest.mark.parametrize("fields", [{}, {"words": 1}, {"prompt": "a", "words": "many"}])
def test_what_is_no_prompt_is_refused(server, fields):
    assert server.predict("writer", fields).status_code == 400


# ---- batching ----

def test_requests_that_wait_are_answered_together(server):
    pixels, digits = from_packages(
        "[array.tolist() for array in "
        "__import__('sklearn.datasets').datasets.load_digits(return_X_y=True)]")
    bodies = [{"pixels": pixels[i]} for i in range(63)] + [{"pixels": [17] * 64}]

    def ask_all():
        with ThreadPoolExecutor(16) as clients:
            return list(clients.map(lambda body: server.predict(
                "digits", json.dumps(body), headers={"Content-Type": "application/json"}), bodies))

    def batched():
        answers = ask_all()
        assert answers.pop().status_code == 400    # and only that
        found = [answer.json() for answer in answers]
        right = sum(answer["digit"] == digit for answer, digit in zip(found, digits))
        assert right >= 0.9 * len(found)
        return max(answer["batch"] for answer in found) > 1

    eventually(batched)
    assert server.metric("sconce_batch_size_sum", model_name="digits") > server.metric(
        "sconce_batch_size_count", model_name="digits")


# ---- metrics ----

def test_each_text_is_counted(server):
    for text in ("great", "good", "late late", "what is that"):
        server.predict("mood", text, headers={"Content-Type": "text/plain"})

    def published():
        lines = re.findall(r"^(Texts|UnknownWords|WordsPerText_\w+)\{(.*)\} (.*)$",
                           server.metrics_text(), re.M)
        return {(name, *re.findall('(?:Mood|le)="([^"]*)"', labels)): float(value)
                for name, labels, value in lines}
    eventually(lambda: published().get(("WordsPerText_count",)) == 4, published)
    found = published()
    assert [found["Texts", mood] for mood in ("friendly", "unfriendly", "neutral")] == [2, 1, 1]
    assert found["UnknownWords",] == 67
    assert found["WordsPerText_sum",] == 7


# ---- two models ----

MESSAGES = {"delivery": ["The courier left it with a neighbour.", "My package is lost."],
            "payment": ["You took the amount from my bank account two times.", "I want a refund."],
            "account": ["How can I reset my login?", "Remove my user data."]}


def test_messages_find_their_topic(server, topics):
    topics("topics", f"http://127.0.0.1:{server.inference}/predictions/minilm")
    for topic, texts in MESSAGES.items():
        assert [ask(server, "topics", {"text": t})["topic"] for t in texts] == [topic] * 2
    ask(server, "topics", {"words": "none"}, 400)


def test_the_failure_of_the_other_model_is_told(server, topics):
    topics("astray", f"http://127.0.0.1:{server.inference}/predictions/nobody")
    message = ask(server, "astray", {"text": "hello"}, 502)["message"]
    assert "answered 404" in message and "Model not found: nobody" in message
