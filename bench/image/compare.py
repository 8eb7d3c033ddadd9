#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""src/image beside Pillow, Pillow-SIMD, torchvision and OpenCV, on one core, from one photograph.

`make bench-image` runs it. Milliseconds of processor time, medians of rounds in turns. torchvision
resizes tensors, and OpenCV its images, to other numbers than Pillow: their columns are of what is
near, not of the same.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIMD = ROOT / ".venv-simd/bin/python"
PROGRAM = ROOT / "build/bench/image/image_bench"
KINDS = ["plain", "avx2", "avx512", "vnni", "neon"]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
KIB = 1024
CONVERSIONS = ["P to L", "P to RGB", "CMYK to L", "CMYK to RGB", "RGBA to LA", "RGBA to RGB",
               "LA to L", "L to RGB", "I;16 to L"]


def ours(file, rounds):
    """{kind: {thing: ms}} of those that this processor can run."""
    ret = {}
    for kind in KINDS:
        run = subprocess.run([PROGRAM, file, str(rounds)], check=True, capture_output=True,
                             text=True, env={**os.environ, "SCONCE_SIMD": kind})
        if not run.stderr:
            ret[kind] = {line[:26].strip(): float(line[26:]) for line in run.stdout.splitlines()}
    return ret


def pixel_things(data):
    """What Pillow alone does; Pillow-SIMD, too."""
    from PIL import Image

    def decode():
        image = Image.open(io.BytesIO(data))
        image.load()
        return image

    image = decode()
    short = min(image.size)
    small = image.width * 256 // short, image.height * 256 // short
    left = (image.width - 224) // 2, (image.height - 224) // 2
    things = {filter: lambda filter=filter: image.resize(small, Image.Resampling[filter.upper()])
              for filter in ("bilinear", "bicubic", "lanczos", "nearest")}
    palette = Image.frombytes("P", image.size, image.convert("L").tobytes())
    palette.putpalette(bytes(v for i in range(256) for v in (i, 255 - i, 7)))
    deep = Image.frombytes("I;16", image.size, image.tobytes()[:2 * image.width * image.height])
    others = {"P": palette, "I;16": deep,
              **{mode: image.convert(mode) for mode in ("L", "LA", "RGBA", "CMYK")}}
    for pair in CONVERSIONS:
        things[pair] = lambda pair=pair: others[pair.split()[0]].convert(pair.split()[2])
    return {**things, "decode": decode, "grey": lambda: image.convert("L"),
            "grey, bilinear": lambda: image.convert("L").resize(small, Image.Resampling.BILINEAR),
            "crop": lambda: image.crop((*left, left[0] + 224, left[1] + 224)),
            "flip": lambda: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            "upside down": lambda: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
            "turn": lambda: image.transpose(Image.Transpose.ROTATE_270),
            "turn, grey": lambda: others["L"].transpose(Image.Transpose.ROTATE_270),
            "turn by half": lambda: image.transpose(Image.Transpose.ROTATE_180)}


def pillow_things(data):
    from torchvision import transforms

    things = pixel_things(data)
    decode = things["decode"]
    image = decode()
    prepare = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize(MEAN, STD)])
    whole = transforms.Compose(prepare.transforms[2:])
    return {**things, "decode, classify": lambda: prepare(decode()),
            "classify": lambda: prepare(image), "tensor": lambda: whole(image)}


def torchvision_things(data):
    """Of a tensor of bytes, as its own decoders give it."""
    from PIL import Image
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode, functional

    tensor = functional.pil_to_tensor(Image.open(io.BytesIO(data)))
    half = [transforms.ConvertImageDtype(__import__("torch").float32),
            transforms.Normalize(MEAN, STD)]
    prepare = transforms.Compose([transforms.Resize(256, antialias=True),
                                  transforms.CenterCrop(224), *half])
    whole = transforms.Compose(half)
    return {"classify": lambda: prepare(tensor), "tensor": lambda: whole(tensor),
            "bilinear": lambda: functional.resize(tensor, 256, antialias=True),
            "bicubic": lambda: functional.resize(tensor, 256, InterpolationMode.BICUBIC,
                                                 antialias=True),
            "flip": lambda: functional.hflip(tensor)}


def opencv_things(data):
    import cv2
    import numpy
    cv2.setNumThreads(1)
    raw = numpy.frombuffer(data, "u1")
    image = cv2.imdecode(raw, cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    short = min(width, height)
    small = width * 256 // short, height * 256 // short
    mean, std = numpy.array(MEAN, "f4"), numpy.array(STD, "f4")

    def prepare(image):
        at = (small[1] - 224) // 2, (small[0] - 224) // 2
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        image = image[at[0]:at[0] + 224, at[1]:at[1] + 224, ::-1]
        return numpy.ascontiguousarray(((image / numpy.float32(255) - mean) / std)
                                       .transpose(2, 0, 1))

    decode = lambda: cv2.imdecode(raw, cv2.IMREAD_COLOR)    # noqa: E731
    return {"decode": decode, "classify": lambda: prepare(image),
            "decode, classify": lambda: prepare(decode()),
            "bilinear": lambda: cv2.resize(image, small, interpolation=cv2.INTER_AREA),
            "bicubic": lambda: cv2.resize(image, small, interpolation=cv2.INTER_CUBIC),
            "lanczos": lambda: cv2.resize(image, small, interpolation=cv2.INTER_LANCZOS4),
            "nearest": lambda: cv2.resize(image, small, interpolation=cv2.INTER_NEAREST),
            "flip": lambda: cv2.flip(image, 1),
            "turn": lambda: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)}


def measure(things, rounds):
    times = {name: [] for name in things}
    for thing in things.values():
        thing()
    for _ in range(rounds):
        for name, thing in things.items():
            start = time.process_time()
            thing()
            times[name].append(1000 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def theirs(make, data, rounds):
    """Nothing of who is not installed."""
    try:
        return measure(make(data), rounds)
    except ImportError as e:
        print(f"compare: without {e.name}", file=sys.stderr)
        return {}


def simd(file, rounds):
    """Pillow-SIMD, which has Pillow's name and so a Python of its own; nothing where it does not
    build."""
    run = subprocess.run([SIMD, __file__, "--simd", file, "--rounds", str(rounds)],
                         capture_output=True, text=True) if SIMD.exists() else None
    if not run or run.returncode:
        print("compare: Pillow-SIMD is not installable here", file=sys.stderr)
        return {}
    return json.loads(run.stdout)


# What a handler does; what it imports is there before, in a zygote.
NAIVE = """
import re, sys
from PIL import Image
from torchvision import transforms

def peak():
    return int(re.search("VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

prepare = transforms.Compose([
    transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
prepare(Image.new("RGB", (300, 300)))
before = peak()
prepare(Image.open(sys.argv[1]))
print(peak() - before)
"""


def memory(file):
    """MiB that decoding and preparing add to a process: ours, and Pillow with torchvision."""
    for command in ([PROGRAM, "--memory", file], [sys.executable, "-c", NAIVE, file]):
        run = subprocess.run(command, capture_output=True, text=True)
        yield f"{int(run.stdout) / KIB:.1f}" if run.returncode == 0 else "?"


def table(columns):
    names = list(next(iter(columns.values())))
    lines = ["| ms | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = (column.get(name) for column in columns.values())
        lines.append(f"| {name} | " + " | ".join("" if cell is None else f"{cell:.3f}"
                                                 for cell in cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE", help="photographs, JPEG")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--simd", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if chosen.simd:
        print(json.dumps(measure(pixel_things(Path(chosen.files[0]).read_bytes()), chosen.rounds)))
        return
    try:
        import torch
        torch.set_num_threads(1)
    except ImportError:
        pass
    for file in chosen.files:
        data = Path(file).read_bytes()
        columns = ours(file, chosen.rounds)
        columns.update({"Pillow": theirs(pillow_things, data, chosen.rounds),
                        "Pillow-SIMD": simd(file, chosen.rounds),
                        "torchvision": theirs(torchvision_things, data, chosen.rounds),
                        "OpenCV": theirs(opencv_things, data, chosen.rounds)})
        print(f"\n{Path(file).name}\n\n{table(columns)}")
        print("\nmemory, MiB: ours {}, Pillow and torchvision {}".format(*memory(file)),
              flush=True)


if __name__ == "__main__":
    main()
