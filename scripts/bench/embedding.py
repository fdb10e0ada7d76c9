"""Times embedding of photographs from files beside `SentenceTransformer.encode`, with the same weights.

    OMP_NUM_THREADS=1 python scripts/bench/embedding.py [FOLDER] [--images 100] [--rounds 3]

Two CLIPs with random weights: a small one, where decoding counts, and ViT-B/32. Each figure is pictures for a second of
one core's processor time: the median over rounds in which the ways take turns. bf16 is timed on processors that have
it. Without a folder of photographs it draws JPEGs of 600 to 1,000 pixels.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer
from views import drawn

import simtrain
from simtrain.catalog.store.reader import source_images
from simtrain.catalog.table import read_catalog
from simtrain.console import SILENT
from simtrain.data.embedding import EmbeddingSettings, embed_images
from simtrain.data.embedding_precision import has_bf16_instructions

SIDE = 224
START, END = "<|startoftext|>", "<|endoftext|>"
TOWERS = {
    "small CLIP (4 layers of 256)": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4},
    "ViT-B/32": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
}
Way = Callable[[], torch.Tensor]


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="JPEGs; drawn where none is named")
    parser.add_argument("--images", type=int, default=100, help="pictures of a round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.folder) if given.folder else drawn(Path(scratch) / "pictures", count=given.images)
        simtrain.prepare(folder, Path(scratch) / "catalog", overrides={"store.kind": "none"}, console=SILENT)
        for number, (name, tower) in enumerate(TOWERS.items()):
            model = clip(Path(scratch) / f"clip{number}", tower)
            measure(name, model, Path(scratch) / "catalog", given)


def clip(folder: Path, tower: dict[str, int]) -> Path:
    """A CLIP as sentence-transformers opens it, with a text tower that is hardly there."""
    words = [START, END, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {word: place for place, word in enumerate(words)}
    assert Tokenizer(models.BPE(vocab=vocabulary, merges=[])).get_vocab_size() == len(words)
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPConfig(
        text_config={**small, "vocab_size": len(words), "max_position_embeddings": 77, **ends},
        vision_config={**tower, "intermediate_size": 4 * tower["hidden_size"], "image_size": SIDE, "patch_size": 32},
        projection_dim=256,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def measure(name: str, model: Path, catalog: Path, given: argparse.Namespace) -> None:
    """Time every way in turns, and print what each does beside the first, and how far it agrees with it."""
    files = source_images(read_catalog(catalog))
    paths = [str(path) for path in files.paths[: given.images]]
    rows = list(range(len(paths)))
    peer = SentenceTransformer(str(model), device="cpu")
    ways: dict[str, Way] = {
        "sentence-transformers": lambda: torch.from_numpy(
            peer.encode([Image.open(path) for path in paths], batch_size=32, normalize_embeddings=True)
        )
    }
    for precision in ("32", "bf16") if has_bf16_instructions() else ("32",):
        settings = EmbeddingSettings(batch_size=32, workers=0, device=torch.device("cpu"), precision=precision)
        ours = simtrain.load_encoder(f"clip:{model}").network  # of its own: it remembers how far it is from float32
        ways[f"simtrain, {'float32' if precision == '32' else precision}"] = partial(
            embed_images, ours, files, rows, settings=settings, console=SILENT
        )
    rates: dict[str, list[float]] = {way: [] for way in ways}
    found = {way: embed() for way, embed in ways.items()}  # the first time also makes buffers
    for _ in range(given.rounds):
        for way, embed in ways.items():
            began = time.process_time()
            embed()
            rates[way].append(len(paths) / (time.process_time() - began))
    first = next(iter(ways))
    print(f"{name:36}{'pictures/s':>11}{'lowest':>8}{'highest':>9}{'times the first':>17}{'lowest cosine':>15}")
    for way, values in rates.items():
        middle, cosine = statistics.median(values), float((found[way] * found[first]).sum(dim=1).min())
        ratio = middle / statistics.median(rates[first])
        print(f"{way:36}{middle:11.1f}{min(values):8.1f}{max(values):9.1f}{ratio:17.2f}{cosine:15.4f}")


if __name__ == "__main__":
    main()
