# SPDX-License-Identifier: Apache-2.0
import io

import numpy

pytest_plugins = ["sconce.testing"]


def packed(tensor):
    data = io.BytesIO()
    numpy.save(data, tensor)
    return data.getvalue()


def test_tensor(sconce_model):
    tensor = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
    answer = sconce_model(".").predict(packed(tensor))
    assert numpy.load(io.BytesIO(answer.body)).tolist() == (2 * tensor).tolist()


def test_what_is_no_tensor(sconce_model):
    assert sconce_model(".").predict(b"text").status == 400


def test_behind_a_server(sconce_server):
    answer = sconce_server(".").predict(packed(numpy.ones(3)))
    assert numpy.load(io.BytesIO(answer.body)).tolist() == [2, 2, 2]
