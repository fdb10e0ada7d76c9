"""The end of scripts/demo: figures before and after, three queries and their neighbours, and a picture of them."""

import json
import sys
from pathlib import Path

import simtrain
from simtrain.catalog.images import read_image
from simtrain.catalog.table import Catalog
from simtrain.evaluation.plots import NeighbourTile, QueryStrip, neighbour_strip

DEMO = Path("demo")
QUERIES, NEIGHBOURS = 3, 5


def query_rows(catalog: Catalog) -> list[int]:
    """Rows of the last view of evenly spread test products, which the encoder has never seen."""
    test = catalog.rows[catalog.rows["split"] == "test"]
    last_views = test.groupby("product", sort=True).tail(1)
    step = max(1, len(last_views) // QUERIES)
    return [int(row) for row in last_views.index[::step][:QUERIES]]


def print_table() -> None:
    """The test figures of the untouched and the tuned encoder, side by side."""
    before, after = (json.loads((DEMO / f"{name}.json").read_text()) for name in ("zero_shot", "tuned"))
    level = round(100 * before["confidence"])
    print(f"Views of {before['queries']} pictures of unseen products (test split), in %, with {level} % intervals:\n")
    print(f"{'':20}{'zero-shot':>24}{'fine-tuned':>24}{'gain':>8}")
    for name, old in before["metrics"].items():
        new = after["metrics"][name]
        gain = 100 * (new["mean"] - old["mean"])
        print(f"{name:20}{interval(old):>24}{interval(new):>24}{gain:>+8.1f}")


def interval(metric: dict[str, float]) -> str:
    """`60.1 (57.2 to 63.0)`."""
    return f"{100 * metric['mean']:.1f} ({100 * metric['low']:.1f} to {100 * metric['high']:.1f})"


def print_neighbours(catalog: Catalog) -> None:
    """The nearest other pictures of three queries, in text and as a picture."""
    opened = simtrain.open_bundle(DEMO / "bundle")
    strips = []
    for row in query_rows(catalog):
        query = catalog.rows.iloc[row]
        image = read_image(catalog.image_path(row))
        found = [near for near in opened.search(image, k=NEIGHBOURS + 1) if near.id != query["id"]][:NEIGHBOURS]
        print(f"\nquery: {query['path']}  ({query['caption']})")
        for near in found:
            mark = "same product" if near.product == query["product"] else ""
            print(f"  {near.similarity:.3f}  {near.path}  {near.caption}  {mark}".rstrip())
        tiles = [
            NeighbourTile(
                path=opened.bundle.image_path(near.row),
                similarity=near.similarity,
                caption=near.caption,
                relevant=near.product == query["product"],
            )
            for near in found
        ]
        strips.append(QueryStrip(image=image, caption=query["caption"], neighbours=tiles))
    picture = DEMO / "neighbours.png"
    neighbour_strip(picture, strips)
    print(f"\npicture of these neighbours: {picture}")


def main() -> None:
    """`first-query` prints the path of a picture to search with; `report` prints everything."""
    catalog = simtrain.open_catalog(DEMO / "catalog")
    if sys.argv[1:] == ["first-query"]:
        print(catalog.image_path(query_rows(catalog)[0]))
    else:
        print_table()
        print_neighbours(catalog)


if __name__ == "__main__":
    main()
