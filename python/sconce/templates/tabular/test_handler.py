# SPDX-License-Identifier: Apache-2.0
pytest_plugins = ["sconce.testing"]

ROWS = {"rows": [{"age": 1, "income": 4}, {"age": 0, "income": 0}]}


def test_predictions(sconce_model):
    assert sconce_model(".").predict(ROWS).json() == {"predictions": [5, 1]}


def test_what_is_missing(sconce_model):
    answer = sconce_model(".").predict({"rows": [{"age": 1}]})
    assert answer.status == 400
    assert b"a row has no number for income" in answer.body
    for row in ({"age": 1, "income": "4"}, {"age": None, "income": 4}, [1, 4], 5):
        assert sconce_model(".").predict({"rows": [row]}).status == 400


def test_behind_a_server(sconce_server):
    assert sconce_server(".").predict(ROWS).json()["predictions"] == [5, 1]
