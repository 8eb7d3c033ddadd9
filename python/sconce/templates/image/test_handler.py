# SPDX-License-Identifier: Apache-2.0
import io

from PIL import Image

pytest_plugins = ["sconce.testing"]


def photograph(colour):
    data = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(data, "PNG")
    return data.getvalue()


def test_image(sconce_model):
    answer = sconce_model(".").predict(photograph("#336699"))
    assert answer.json() == {"width": 64, "height": 48, "colour": "#336699"}


def test_what_is_no_image(sconce_model):
    answer = sconce_model(".").predict(b"text")
    assert answer.status == 400


def test_behind_a_server(sconce_server):
    assert sconce_server(".").predict(photograph("red")).json()["colour"] == "#ff0000"
