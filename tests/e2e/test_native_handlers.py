# SPDX-License-Identifier: Apache-2.0
"""Default handlers as pipelines, in the native worker, beside the same archives in Python: the same
answers to the same requests, right and wrong ones."""

import base64
import io
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.archives import make_mar
from e2e.test_image import assets  # noqa: F401
from e2e.test_torchscript import prepared  # noqa: F401

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

JSON = {"Content-Type": "application/json"}
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?|NaN")
WORKERS = "minWorkers: 1\nmaxWorkers: 1\nbatchSize: 4\nmaxBatchDelay: 20\n"


def scripted(module):
    import torch

    out = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), out)
    return out.getvalue()


def make_segmenter():
    import torch

    class Channels(torch.nn.Module):
        """The class of a pixel is its brightest channel."""

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"out": torch.nn.functional.avg_pool2d(2 * x, 32)}

    return scripted(Channels())


def make_detector():
    import torch

    class Bright(torch.nn.Module):
        """Sees three things on every image: the brighter it is, the surer it is."""

        def forward(self, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
            found: list[dict[str, torch.Tensor]] = []
            for x in images:
                whole = torch.tensor([0.0, 0.0, float(x.shape[2]), float(x.shape[1])])
                bright = x.mean()
                found.append({"boxes": torch.stack([whole, whole / 3, whole / 7]),
                              "labels": torch.tensor([1, 0, 0]),
                              "scores": torch.stack([bright, bright * 0.1, bright * 1.1])})
            return found

    return scripted(Bright())


def make_flat():
    """Takes no pictures, but twelve numbers."""
    import torch

    torch.manual_seed(5)
    return scripted(torch.nn.Linear(12, 3))


@pytest.fixture(scope="module")
def server(module_serve, module_tmp, assets, prepared):  # noqa: F811
    models = {"classifier": ("image_classifier", assets.model.read_bytes()),
              "segmenter": ("image_segmenter", make_segmenter()),
              "detector": ("object_detector", make_detector()),
              "flat": ("image_classifier", make_flat())}
    for name, (handler, model) in models.items():
        for path in ("always", "never"):
            make_mar(module_tmp, f"{name}-{path}", "\n", entry=handler, serializedFile="model.pt",
                     files={"model.pt": model, "index_to_name.json": assets.names.read_bytes()},
                     config=f"{WORKERS}native: {path}\n")
    return module_serve(store=module_tmp, python=sys.executable, environment=prepared)


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def bodies(assets):  # noqa: F811
    """(body, headers) by name."""
    import torch
    from PIL import Image

    photo = assets.photo.read_bytes()
    image = Image.open(io.BytesIO(photo))
    turned = image.getexif()
    turned[0x112] = 6
    text = base64.b64encode(photo).decode()
    numbers = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(7))
    raw = {
        "photo": photo, "png": saved(image.resize((301, 199)), "PNG"),
        "progressive": saved(image, "JPEG", progressive=True, quality=40),
        "tall": saved(image.resize((60, 500)), "PNG"), "tiny": saved(image.resize((3, 2)), "PNG"),
        "turned": saved(image, "JPEG", exif=turned), "grey": saved(image.convert("L"), "JPEG"),
        "alpha": saved(image.convert("RGBA"), "PNG"), "palette": saved(image.convert("P"), "PNG"),
        "cmyk": saved(image.convert("CMYK"), "JPEG"), "cut": photo[:len(photo) // 2],
        "nothing": b"", "junk": b"no picture at all",
    }
    documents = {
        "base64": json.dumps(text), "list": json.dumps(numbers.tolist()), "object": '{"a": [1]}',
        "instances": json.dumps({"instances": [{"data": text}]}), "number": "7", "null": "null",
        "broken": "[1, ", "ragged": "[[1, 2], [3]]", "words": '[["a"]]', "empty": "[]",
        "flat": "[1, 2, 3]", "cut base64": json.dumps(text[:-3]),
    }
    return {**{name: (body, {}) for name, body in raw.items()},
            **{name: (body, JSON) for name, body in documents.items()},
            "text": (text, {"Content-Type": "text/plain"})}


def normal(answer):
    """What must be the same to the letter, and the numbers, which may differ a little."""
    kept = {name: answer.headers.get(name) for name in ("Content-Type",)}
    return (answer.status_code, kept, NUMBER.sub("#", answer.text)), NUMBER.findall(answer.text)


def same(native, python):
    (left, some), (right, others) = normal(native), normal(python)
    assert left == right
    assert [float(n) for n in some] == pytest.approx([float(n) for n in others], abs=1e-5)


def ask(server, model, body, headers):
    return [server.predict(f"{model}-{path}", body, headers=headers)
            for path in ("always", "never")]


def test_which_path_is_taken(server):
    for name, runtime in (("always", "native"), ("never", "python")):
        worker, = server.describe(f"classifier-{name}")[0]["workers"]
        assert worker["status"] == "READY"
        assert server.describe(f"classifier-{name}")[0]["path"] == runtime


@pytest.mark.parametrize("model", ["classifier", "segmenter", "detector"])
def test_answers(server, bodies, model):
    for name, (body, headers) in bodies.items():
        native, python = ask(server, model, body, headers)
        try:
            same(native, python)
        except AssertionError as e:
            raise AssertionError(
                f"{model}, {name}: {native.text[:300]} | {python.text[:300]}") from e


def test_parts_of_a_form(server, bodies):
    photo = bodies["photo"][0]
    for files in ({"data": ("x.jpg", photo, "image/jpeg")}, {"body": ("x", photo)},
                  {"image": ("x.jpg", photo)},
                  {"data": ("x.json", bodies["list"][0], "application/json")},
                  {"data": ("e.jpg", b""), "body": ("x.jpg", photo)}):
        same(*(server.predict(f"classifier-{path}", None, files=files)
               for path in ("always", "never")))


def test_who_is_wrong_in_a_batch_is_wrong_alone(server, bodies):
    wanted = [bodies[name] for name in ("photo", "cut", "list", "grey", "tall", "text") * 4]
    alone = [server.predict("classifier-always", body, headers=headers) for body, headers in wanted]
    with ThreadPoolExecutor(len(wanted)) as pool:
        together = list(pool.map(
            lambda b: server.predict("classifier-always", b[0], headers=b[1]), wanted))
    for one, other in zip(alone, together):
        same(one, other)


def test_numbers_of_any_size(server):
    """Also such as the model cannot take; and beside pictures, for which it is prepared."""
    import torch

    for shape in ((3, 90, 100), (3, 224, 224), (3, 500, 40), (3, 1, 1), (1, 90, 100), (90, 100),
                  (3, 90, 100, 2), (3, 0, 5), (12,)):
        numbers = json.dumps(torch.rand(shape, generator=torch.Generator().manual_seed(3)).tolist())
        for model in ("classifier", "segmenter", "detector", "flat"):
            native, python = ask(server, model, numbers, JSON)
            try:
                same(native, python)
            except AssertionError as e:
                raise AssertionError(
                    f"{model}, {shape}: {native.text[:300]} | {python.text[:300]}") from e


def test_pictures_that_only_pillow_reads(server, assets):  # noqa: F811
    from PIL import Image

    photo = Image.open(assets.photo)
    bodies = [saved(photo.convert(mode), form, **options) for mode, form, options in (
        ("RGB", "TIFF", {}), ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg"}), ("CMYK", "TIFF", {}), ("YCbCr", "TIFF", {}),
        ("L", "TIFF", {}), ("P", "TIFF", {}), ("RGBA", "TIFF", {}), ("1", "TIFF", {}),
        ("I", "TIFF", {}), ("F", "TIFF", {}), ("LAB", "TIFF", {}),
        ("RGB", "PPM", {}), ("RGB", "TGA", {}),
        ("RGB", "PCX", {}), ("RGB", "SGI", {}), ("RGB", "DDS", {}), ("RGB", "JPEG2000", {}),
        ("RGB", "AVIF", {}))]
    icon = io.BytesIO()
    photo.resize((64, 64)).save(icon, "ICO", sizes=[(64, 64)])
    bodies += [icon.getvalue(), bodies[0][:5000], bodies[1][:5000], bodies[0][:20]]
    for i, body in enumerate(bodies):
        for model in ("classifier", "segmenter", "detector"):
            native, python = ask(server, model, body, {})
            try:
                same(native, python)
            except AssertionError as e:
                raise AssertionError(
                    f"{model}, {i}: {native.text[:300]} | {python.text[:300]}") from e


def test_explanations_and_descriptions(server, bodies):
    for call, model in (("POST", "/explanations/classifier-"),):
        answers = [server.call(call, model + path, data=bodies["photo"][0])
                   for path in ("always", "never")]
        assert answers[0].status_code == answers[1].status_code == 503
        assert "captum" in answers[0].text and "captum" in answers[1].text
    customized = [server.manage("GET", f"/models/classifier-{path}?customized=true").json()[0]
                  for path in ("always", "never")]
    assert customized[0].get("customizedMetadata") == customized[1].get("customizedMetadata")
