# SPDX-License-Identifier: Apache-2.0
pytest_plugins = ["sconce.testing"]


def test_labels(sconce_model):
    model = sconce_model(".")
    assert model.predict("I love it").json() == {"label": "positive", "score": 1}
    assert model.predict("slow and broken", "text/plain").json()["label"] == "negative"
    assert model.predict("").json()["label"] == "neutral"


def test_behind_a_server(sconce_server):
    assert sconce_server(".").predict("great").json()["label"] == "positive"
