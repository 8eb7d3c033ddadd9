# SPDX-License-Identifier: Apache-2.0
pytest_plugins = ["sconce.testing"]


def test_a_batch(sconce_model):
    answers = sconce_model(".").predict_batch([1, 2, 3.5])
    assert [a.json()["result"] for a in answers] == [1, 4, 12.25]
    assert {a.json()["batch"] for a in answers} == {3}


def test_what_is_no_number(sconce_model):
    assert sconce_model(".").predict(b"text").status == 400


def test_behind_a_server(sconce_server):
    assert sconce_server(".").predict(b"3").json()["result"] == 9
