# SPDX-License-Identifier: Apache-2.0
pytest_plugins = ["sconce.testing"]

NO_NUMBERS = [b"text", b"", b"\xff", b"1e200", b"nan", "", None, [], {"x": 1}, 10 ** 400]


def test_a_batch(sconce_model):
    answers = sconce_model(".").predict_batch([1, 2, 3.5])
    assert [a.json()["result"] for a in answers] == [1, 4, 12.25]
    assert {a.json()["batch"] for a in answers} == {3}


def test_what_is_no_number_fails_alone(sconce_model):
    answers = sconce_model(".").predict_batch([1, *NO_NUMBERS, b"2"])
    assert [a.status for a in answers] == [200, *[400] * len(NO_NUMBERS), 200]
    assert [a.json()["result"] for a in (answers[0], answers[-1])] == [1, 4]
    assert answers[1].json()["message"] == "send a number below 1e100"


def test_behind_a_server(sconce_server):
    server = sconce_server(".")
    assert server.predict(b"3").json()["result"] == 9
    assert server.predict(b"three").status == 400
