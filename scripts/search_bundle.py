"""Searches a bundle with onnxruntime, Pillow, NumPy and FAISS alone: python scripts/search_bundle.py BUNDLE IMAGE [K].

Prints the row in items.parquet and the similarity of the K nearest items (5). What `simtrain search` does beyond this:
it checks every file and the embeddings, follows colour profiles, refuses pictures of too many pixels, and shows ids;
where the index is not Flat it searches with tuned settings and takes similarities from the stored vectors.
"""

import json
import sys
from pathlib import Path

import faiss
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

bundle, image_file, k = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5
manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
how, side = manifest["preprocessing"], manifest["preprocessing"]["image_size"]

picture = ImageOps.exif_transpose(Image.open(image_file))
if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
    layers = picture.convert("RGBA")
    picture = Image.composite(layers.convert("RGB"), Image.new("RGB", layers.size, "white"), layers.getchannel("A"))
picture = picture.convert("RGB")
width, height = picture.size
if how["resize"] == "squash" or width == height:
    size = (side, side)
elif how["resize"] == "pad":  # the whole picture, on white
    size = tuple(max(1, round(length * side / max(width, height))) for length in (width, height))
else:  # crop: the shorter side fits
    size = (side * width // min(width, height), side * height // min(width, height))
if size != picture.size:
    picture = picture.resize(size, {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}[how["interpolation"]])
square = Image.new("RGB", (side, side), "white")
square.paste(picture, tuple((side - length) // 2 if length <= side else -((length - side) // 2) for length in size))

pixels = (np.asarray(square, np.float32) / np.float32(255) - np.float32(how["mean"])) / np.float32(how["std"])
encoder = onnxruntime.InferenceSession(bundle / "encoder.onnx", providers=["CPUExecutionProvider"])
(embedding,) = encoder.run(["embeddings"], {"pixel_values": pixels.transpose(2, 0, 1)[None].copy()})
index, wanted = faiss.read_index(str(bundle / "index.faiss")), manifest["index"].get("search", {"candidates": 0})
(similarities,), (rows,) = index.search(embedding, max(k, wanted["candidates"]))
if (stored := bundle / "vectors.safetensors").exists():  # an approximate index proposes, the vectors decide
    content, rows = np.memmap(stored, mode="r"), rows[rows >= 0]
    tensors = content[8 + int.from_bytes(content[:8].tobytes(), "little") :].reshape(index.ntotal, -1)[rows]
    similarities = tensors.view(f"f{tensors.shape[1] // index.d}").astype(np.float32) @ embedding[0]
order = np.argsort(-similarities, kind="stable")[: min(k, index.ntotal)]
for row, similarity in zip(rows[order], similarities[order], strict=True):
    print(row, f"{similarity:.4f}")
