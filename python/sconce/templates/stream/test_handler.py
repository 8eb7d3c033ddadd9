# SPDX-License-Identifier: Apache-2.0
pytest_plugins = ["sconce.testing"]


def test_pieces(sconce_model):
    answer = sconce_model(".").predict("one two three")
    assert answer.pieces == [b"ONE ", b"TWO ", b"THREE ", b"."]


def test_behind_a_server(sconce_server):
    assert sconce_server(".").predict("a b").text == "A B ."
