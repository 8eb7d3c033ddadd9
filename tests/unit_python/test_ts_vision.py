# SPDX-License-Identifier: Apache-2.0
"""The default handlers for images, on small models: input, answers, explanations, transforms."""

import base64
import io
import json
import sys
import types
import zipfile

import pytest
import torch
from PIL import Image

from ts.torch_handler import transforms                                   # noqa: E402
from ts.torch_handler.densenet_handler import DenseNetHandler             # noqa: E402
from ts.torch_handler.image_classifier import ImageClassifier             # noqa: E402
from ts.torch_handler.image_segmenter import ImageSegmenter               # noqa: E402
from ts.torch_handler.object_detector import ObjectDetector               # noqa: E402
from ts.torch_handler.unit_tests.test_utils.mock_context import MockContext   # noqa: E402
from ts.utils.util import PredictionException                             # noqa: E402

MODELS = {
    "classifier": '''
class Model(torch.nn.Module):
    """Ten classes, the brighter the image the likelier the last."""
    def forward(self, x):
        return x.mean(dim=(1, 2, 3))[:, None] * torch.arange(10.0)
''',
    "segmenter": '''
class Model(torch.nn.Module):
    """The class of a pixel is its brightest channel."""
    def forward(self, x):
        return {"out": 10 * x}
''',
    "detector": '''
class Model(torch.nn.Module):
    """Sees three things anywhere, the size of the image."""
    def forward(self, images):
        return [{"boxes": torch.tensor([[0.0, 0.0, x.shape[2], x.shape[1]]] * 3),
                 "labels": torch.tensor([2, 1, 0]), "scores": torch.tensor([0.75, 0.25, 0.5])}
                for x in images]
''',
}


def encoded(color, size=(300, 260), mode="RGB", kind="PNG"):
    out = io.BytesIO()
    Image.new(mode, size, color).save(out, kind)
    return out.getvalue()


WHITE, BLACK, RED = encoded("white"), encoded("black"), encoded("red")


@pytest.fixture
def start(tmp_path, monkeypatch):
    """start(class, model): a handler with that model, and its context."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(class_, model, names=None, **properties):
        (tmp_path / f"{model}_model.py").write_text("import torch\n\n" + MODELS[model])
        if names is not None:
            (tmp_path / "index_to_name.json").write_text(json.dumps(names))
        made = MockContext(model_dir=str(tmp_path), model_file=f"{model}_model.py",
                           model_pt_file=None)
        made.system_properties.update(properties)
        handler = class_()
        handler.initialize(made)
        return handler, made

    yield run
    for model in MODELS:
        sys.modules.pop(f"{model}_model", None)


# ---- input ----

@pytest.mark.parametrize("field", ["data", "body"])
@pytest.mark.parametrize("image", [WHITE, bytearray(WHITE), base64.b64encode(WHITE).decode()])
def test_encoded_images(start, field, image):
    handler, _ = start(ImageClassifier, "classifier")
    tensor = handler.preprocess([{field: image}] * 2)
    assert tensor.shape == (2, 3, 224, 224) and tensor.dtype == torch.float32
    assert torch.equal(tensor[0], tensor[1])
    assert tensor[0, :, 0, 0].tolist() == pytest.approx(
        [(1 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))])


def test_numbers_are_taken_as_they_are(start):
    handler, made = start(ImageClassifier, "classifier")
    numbers = [[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]]
    assert handler.preprocess([{"body": numbers}]).tolist() == [numbers]
    with pytest.raises(TypeError, match="an image is"):
        handler.preprocess([{"body": 3}])     # which torch would take for a size
    assert list(handler.handle([{"body": numbers}], made)[0]) == ["9", "8", "7", "6", "5"]


def test_what_is_no_image(start):
    handler, made = start(ImageClassifier, "classifier")
    for body in (b"not an image", b"", WHITE[:60]):
        with pytest.raises(Exception):    # noqa: B017  (Pillow's, which differ)
            handler.handle([{"body": body}], made)


@pytest.mark.parametrize("limited", [True, False])
def test_limit_of_pixels(start, monkeypatch, limited):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    handler, made = start(ImageClassifier, "classifier", limit_max_image_pixels=limited)
    if limited:
        with pytest.raises(Image.DecompressionBombError):
            handler.handle([{"body": WHITE}], made)
    else:
        assert len(handler.handle([{"body": WHITE}], made)) == 1


# ---- image_classifier ----

def test_five_likeliest_classes(start):
    names = {str(i): f"class {i}" for i in range(10)}
    handler, made = start(ImageClassifier, "classifier", names)
    white, black = handler.handle([{"data": WHITE}, {"body": BLACK}], made)
    assert list(white) == [f"class {i}" for i in (9, 8, 7, 6, 5)]
    assert list(black) == [f"class {i}" for i in (0, 1, 2, 3, 4)]
    assert list(white.values()) == sorted(white.values(), reverse=True)
    assert 0 < sum(white.values()) < 1


def test_as_many_classes_as_asked_for(start):
    handler, made = start(ImageClassifier, "classifier")
    handler.set_max_result_classes(2)
    assert handler.get_max_result_classes() == 2 and ImageClassifier.topk == 5
    assert list(handler.handle([{"data": WHITE}], made)[0]) == ["9", "8"]


def test_all_classes_where_there_are_fewer(start):
    handler, _ = start(ImageClassifier, "classifier")
    answer, = handler.postprocess(torch.tensor([[1.0, 2.0, 0.0]]))
    assert list(answer) == ["1", "0", "2"] and sum(answer.values()) == pytest.approx(1)


# ---- image_segmenter ----

def test_segments(start):
    handler, made = start(ImageSegmenter, "segmenter")
    white, red = handler.handle([{"data": WHITE}, {"data": RED}], made)
    assert len(white) == len(white[0]) == 224
    assert red[0][0] == [0.0, pytest.approx(1.0, abs=1e-3)]
    assert white[223][223][0] == 2.0 and 0.5 < white[223][223][1] < 1


# ---- object_detector ----

def test_objects(start):
    handler, made = start(ObjectDetector, "detector", {"object_type_names": ["sky", "cat", "dog"]})
    first, second = handler.handle([{"data": WHITE}, {"body": WHITE}], made)
    assert first == second == [{"dog": [0.0, 0.0, 300.0, 260.0], "score": 0.75},
                               {"sky": [0.0, 0.0, 300.0, 260.0], "score": 0.5}]
    assert [list(found) for found in first] == [["dog", "score"], ["sky", "score"]]


def test_objects_above_another_threshold(start):
    handler, made = start(ObjectDetector, "detector")
    handler.threshold = 0.6
    assert handler.handle([{"data": WHITE}], made) == [
        [{"2": [0.0, 0.0, 300.0, 260.0], "score": 0.75}]]


# ---- DenseNetHandler ----

def saved(tensor):
    out = io.BytesIO()
    torch.save(tensor, out)
    return out.getvalue()


class Danger:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a client was run')",))


def test_tensors_in_and_out(tmp_path):
    torch.jit.trace(torch.nn.ReLU(), torch.ones(1)).save(str(tmp_path / "relu.pt"))
    made = MockContext(model_dir=str(tmp_path), model_file=None, model_pt_file="relu.pt")
    handler = DenseNetHandler()
    handler.initialize(made)
    tensors = [torch.tensor([-1.0, 1.0]), torch.tensor([2.0, -2.0])]
    answer, = handler.handle([{"data": saved(tensors[0])}, {"body": saved(tensors[1])}], made)
    assert answer.tolist() == [[0.0, 1.0], [2.0, 0.0]]
    with pytest.raises(Exception, match="weights_only|Unsupported"):
        handler.handle([{"data": saved(Danger())}], made)
    (tmp_path / "relu.pt").unlink()
    with pytest.raises(RuntimeError, match="lacks relu.pt"):
        DenseNetHandler().initialize(made)


class Size:
    def __reduce__(self):
        return (torch.FloatTensor, (10_000,))


def deflated(archive):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, \
            zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return out.getvalue()


@pytest.mark.parametrize("body, why", [
    (saved(torch.zeros(1).expand(10 ** 10)), "larger than"), (saved(Size()), "larger than"),
    (deflated(saved(torch.zeros(10_000))), "compressed")])
def test_few_bytes_that_stand_for_any_amount_of_memory(body, why):
    with pytest.raises(ValueError, match=why):
        DenseNetHandler().handle([{"data": body}], None)


# ---- explanations ----

def test_explanation(start, monkeypatch):
    asked = []

    class Gradients:
        def __init__(self, model):
            self.model = model

        def attribute(self, tensor, target, n_steps):
            asked.append((tuple(tensor.shape), target, n_steps))
            return torch.stack([self.model(tensor)[:, target]], 1)

    attr = types.ModuleType("captum.attr")
    attr.IntegratedGradients = Gradients
    monkeypatch.setitem(sys.modules, "captum", types.ModuleType("captum"))
    monkeypatch.setitem(sys.modules, "captum.attr", attr)
    handler, made = start(ImageClassifier, "classifier")
    made.explain = True
    numbers = [[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]]
    answers = handler.handle([{"data": numbers, "target": 2}, {"data": numbers}], made)
    assert answers == [[7.0], [7.0]] and handler.explain
    assert asked == [((2, 3, 1, 2), 2, 15)]
    handler.handle([{"data": numbers}], made)
    assert asked[1][1] == 0


def test_explanation_without_captum(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    handler, made = start(ImageClassifier, "classifier")
    assert handler.handle([{"data": WHITE}], made)
    made.explain = True
    with pytest.raises(PredictionException, match="needs the package captum"):
        handler.handle([{"data": WHITE}], made)


# ---- transforms: the numbers of torchvision's, which need not be there ----

@pytest.mark.parametrize("mode,color,shape,value", [
    ("RGB", (255, 0, 51), (3, 2, 3), [1.0, 0.0, 0.2]), ("L", 51, (1, 2, 3), [0.2]),
    ("1", 1, (1, 2, 3), [1.0]), ("P", 3, (1, 2, 3), [3 / 255]),
    ("RGBA", (0, 51, 255, 102), (4, 2, 3), [0.0, 0.2, 1.0, 0.4]),
    ("I", 70000, (1, 2, 3), [70000]), ("F", 0.5, (1, 2, 3), [0.5]), ("I;16", 300, (1, 2, 3), [300]),
])
def test_tensor_of_an_image(mode, color, shape, value):
    tensor = transforms.ToTensor()(Image.new(mode, (3, 2), color))
    assert tuple(tensor.shape) == shape
    assert tensor[:, 1, 2].tolist() == pytest.approx(value)


@pytest.mark.parametrize("size,wanted", [((300, 200), (384, 256)), ((200, 300), (256, 384)),
                                         ((256, 256), (256, 256)), ((3, 1000), (256, 85333))])
def test_shorter_edge(size, wanted):
    assert transforms.Resize(256).target(*size) == wanted
    assert transforms.Resize((10, 20)).target(*size) == (20, 10)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (2, 9), (1, 1)])
def test_middle_of_an_image(size):
    image = Image.new("L", size, 9)
    middle = transforms.CenterCrop(4)(image)
    assert middle.size == (4, 4)
    assert sum(middle.tobytes()) == 9 * min(size[0], 4) * min(size[1], 4)


def test_normalize():
    normal = transforms.Normalize([1.0, 2.0], [2.0, 4.0])
    assert normal(torch.full((2, 1, 1), 5.0)).flatten().tolist() == [2.0, 0.75]
    with pytest.raises(TypeError, match="floats"):
        normal(torch.ones(2, 1, 1, dtype=torch.int32))
    with pytest.raises(ValueError, match="deviation of 0"):
        transforms.Normalize([0.0], [0.0])
    with pytest.raises(RuntimeError):
        normal(torch.ones(1, 2, 2))


def test_like_torchvision():
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.transforms
    noise = bytes((i * i * 7 + i // 3) % 256 for i in range(300 * 200 * 3))
    image = Image.frombytes("RGB", (300, 200), noise)
    whole = theirs.Compose([theirs.Resize(256), theirs.CenterCrop(224), theirs.ToTensor(),
                            theirs.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    assert torch.equal(whole(image), transforms.imagenet()(image))
    assert torch.equal(theirs.ToTensor()(image), transforms.ToTensor()(image))
