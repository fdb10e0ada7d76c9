import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from simtrain.catalog.inspection.findings import duplicate_findings, near_duplicate_findings
from simtrain.catalog.inspection.kinds import KINDS
from simtrain.catalog.summary import SummaryContent, write_summary

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Elements with their attributes, the text of each, and whether every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.texts.append((self.open[-1], " ".join(data.split())))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag != "style")

    def texts_of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def counts(**changed: Any) -> dict[str, Any]:
    told = {
        "found": 1240,
        "unreadable": 4,
        "set_aside": 2,
        "not_looked_at": 0,
        "products_set_aside": 0,
        "images": 1234,
        "products": 300,
        "labels": 2,
        "images_per_split": {"train": 1000, "val": 100, "test": 134},
        "products_per_split": {"train": 240, "val": 25, "test": 35},
        "labels_per_split": {"train": 2, "val": 1, "test": 2},
        "images_per_label": {"mug": 234, "chair": 1000},
    }
    return told | changed


def picture(color: str = "red", *, kind: str = "JPEG", bytes_at_least: int = 0) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 6), color).save(file, kind)
    return file.getvalue().ljust(bytes_at_least, b"\0")


def written(
    folder: Path,
    findings: Sequence[Mapping[str, Any]] = (),
    *,
    fixes: Sequence[Mapping[str, Any]] = (),
    source: str = "shop.csv",
    told: Mapping[str, Any] | None = None,
    thumbnail: Callable[[str], bytes | None] = lambda _: picture(),
) -> str:
    path = folder / "summary.html"
    write_summary(
        path,
        SummaryContent(source=source, counts=told or counts(), findings=findings, fixes=fixes, store="raw, 12 MB"),
        thumbnail=thumbnail,
    )
    return path.read_text(encoding="utf-8")


def tiny(number: int) -> dict[str, Any]:
    ids = [f"image {row}" for row in range(number)]
    sizes = {"widths": list(range(10, 10 + number)), "heights": [9] * number}
    return {"kind": "tiny_images", "ids": ids, **sizes, "smallest_side": 64, "message": "they are tiny"}


def test_page_is_well_formed_and_stands_alone(tmp_path: Path) -> None:
    text = written(tmp_path, [tiny(3)])
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>\n")
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert all(link["href"].startswith("#") for link in page.all("a"))
    assert re.findall(r"https?:|//\w|@import|url\(", re.sub(r"base64,[\w+/=]+", "", text)) == []
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_counts_of_each_split_stand_in_a_table(tmp_path: Path) -> None:
    page = Page(written(tmp_path, source="my shop.csv"))
    text = page.text()
    assert "1,240 image files found, 1,234 in the catalogue, 4 unreadable and left out, 2 set aside as copies." in text
    assert "split images products labels train 1,000 240 2 val 100 25 1 test 134 35 2 all 1,234 300 2" in text
    assert "my shop.csv" in page.texts_of("bdi")
    assert "raw, 12 MB" in text


def test_what_the_source_does_not_name_is_not_counted(tmp_path: Path) -> None:
    none = dict.fromkeys(("train", "val", "test"), 0)
    told = counts(products=0, labels=0, products_per_split=none, labels_per_split=none, images_per_label={})
    text = Page(written(tmp_path, told=told)).text()
    dash = "\N{EN DASH}"
    assert f"train 1,000 {dash} {dash} val 100 {dash} {dash} test 134 {dash} {dash} all 1,234 none named none" in text
    assert "Images of each label" not in text


def test_bars_are_as_long_as_labels_are_large(tmp_path: Path) -> None:
    page = Page(written(tmp_path))
    assert [element["style"] for element in page.all("div") if element.get("class") == "bar"] == [
        "width: 100.0%",
        "width: 23.4%",
    ]
    assert "chair 1,000 mug 234" in page.text()


def test_of_very_many_labels_the_largest_and_the_smallest_are_shown(tmp_path: Path) -> None:
    page = Page(written(tmp_path, told=counts(images_per_label={f"label{size:03}": size for size in range(1, 101)})))
    shown = [text for text in page.texts_of("bdi") if text.startswith("label")]
    assert shown == [f"label{size:03}" for size in [*range(100, 80, -1), *range(20, 0, -1)]]
    assert "60 labels of sizes between" in page.text()


def test_catalogue_without_findings_says_so(tmp_path: Path) -> None:
    page = Page(written(tmp_path))
    assert "none of the checks found a fault" in page.text()
    assert page.texts_of("h2") == ["What was read", "What was found", "Images of each label"]


def test_every_kind_has_a_section_the_most_harmful_first(tmp_path: Path) -> None:
    rest = {
        **{"path": "p", "reason": "r", "message": "m", "ids": ["i", "j"], "labels": ["l", "m"], "values": ["v", "w"]},
        **{"notes": ["n", "n"], "widths": [1, 2], "heights": [1, 2], "tokens": [80, 90], "differ": ["label"]},
        **{"column": "label", "kept_as": "k", "groups": 1, "images": 1, "examples": ["e"], "caption": "c"},
        **{
            "label": "l",
            "copies_of": ["o", "o"],
            "splits": ["train", "val"],
            "moved_images": 1,
            "similarity": 0.9,
            "mirrored": False,
            **{"paths": ["p"], "rows": [1, 2], "files": 3},
        },
    }
    page = Page(written(tmp_path, [{"kind": kind, **rest} for kind in reversed(KINDS)]))
    titles = [kind.title for kind in KINDS.values()]
    assert page.texts_of("h2")[3:] == titles
    assert page.texts_of("a") == titles
    assert [link["href"] for link in page.all("a")] == [f"#{kind}" for kind in KINDS]
    assert {f"{heading['id']}" for heading in page.all("h2")} >= set(KINDS)
    assert "5 errors , 32 warnings , 18 notes" in page.text()


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    nasty = "<script>alert('x')</script>\"&.jpg"
    finding = {**tiny(1), "ids": [nasty], "message": nasty}
    left_out = {"kind": "left_out", "path": nasty, "reason": nasty}
    told = counts(images_per_label={nasty: 3})
    text = written(tmp_path, [finding, left_out], source=nasty, told=told, fixes=[{"message": nasty}])
    page = Page(text)
    assert page.all("script") == []
    assert page.open == []
    assert page.all("img")[0]["alt"] == f"Image {nasty}"
    assert page.text().count(nasty) == 7  # source, bar, fix, message, caption; path and reason


def test_names_of_either_direction_are_kept_apart(tmp_path: Path) -> None:
    finding = {**tiny(1), "ids": ["مبل راحتی.jpg"]}
    page = Page(written(tmp_path, [finding], told=counts(images_per_label={"مبل": 1})))
    assert {"مبل راحتی.jpg", "مبل"} <= set(page.texts_of("bdi"))


def test_examples_are_few_and_the_others_are_counted(tmp_path: Path) -> None:
    asked: list[str] = []

    def thumbnail(name: str) -> bytes:
        asked.append(name)
        return picture()

    page = Page(written(tmp_path, [tiny(1500)], thumbnail=thumbnail))
    assert asked == [f"image {row}" for row in range(12)]
    assert len(page.all("img")) == 12
    assert "1500 images" in page.text()
    assert "and 1,488 more: findings.json" in page.text()
    assert "size: 21 by 9 pixels" in page.text()


def test_pictures_are_those_of_their_images(tmp_path: Path) -> None:
    colors = {"image 0": picture("red"), "image 1": picture("blue", kind="PNG"), "image 2": None}
    page = Page(written(tmp_path, [tiny(3)], thumbnail=colors.__getitem__))
    sources = [image["src"] or "" for image in page.all("img")]
    assert [source.partition(",")[0] for source in sources] == ["data:image/jpeg;base64", "data:image/png;base64"]
    assert [b64decode(source.partition(",")[2]) for source in sources] == [colors["image 0"], colors["image 1"]]
    assert page.text().count("no preview") == 1


def test_thumbnail_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a thumbnail is neither JPEG nor PNG: it starts with b'GIF8"):
        written(tmp_path, [tiny(1)], thumbnail=lambda _: picture(kind="GIF"))


def test_near_duplicates_stand_side_by_side_with_what_differs(tmp_path: Path) -> None:
    columns = {"products": ["p", None], "labels": ["x", "x"], "splits": ["train", "train"], "kept": True}
    page = Page(written(tmp_path, near_duplicate_findings(["a", "b"], [(0, 1, 0.987, True)], **columns)))
    assert page.texts_of("bdi")[-4:] == ["a", "p", "b", "none"]
    assert "similarity 0.987, mirrored; different product" in page.texts_of("p")


def test_values_that_differ_are_among_the_pictures_shown(tmp_path: Path) -> None:
    ids = [f"i{row}" for row in range(9)]
    found = duplicate_findings(ids, ["i0"] * 9, products=["p"] * 8 + ["q"], labels=[None] * 9)
    page = Page(written(tmp_path, found[1:]))
    assert page.texts_of("bdi")[-8:] == ["i0", "p", "i8", "q", "i1", "p", "i2", "p"]
    assert "and 5 more images" in page.text()


def test_file_stays_small_and_every_section_keeps_some_pictures(tmp_path: Path) -> None:
    findings = [
        {**tiny(100), "kind": kind, "ids": [f"{kind} {'x' * 3000} {row}" for row in range(100)]}
        for kind in ("groups_across_splits", "blank_images", "captions_empty", "tiny_images")
    ]
    findings[0] |= {"groups": 3, "moved_images": 3}
    text = written(tmp_path, findings, thumbnail=lambda _: picture(bytes_at_least=100_000))
    assert len(text.encode()) < 3_000_000
    sections = text.split('<section class="finding"')[1:]
    # A picture takes 133,359 of 2,600,000 characters: 4 fit into a quarter, 5 into a third of what is left, and so on.
    assert [section.count("<img ") for section in sections] == [4, 5, 5, 5]


def test_copies_that_were_set_aside_stand_beside_their_originals(tmp_path: Path) -> None:
    copies = {"ids": ["a", "b"], "copies_of": ["x", "y"], "splits": ["train", "val"], "reason": "r"}
    page = Page(written(tmp_path, [{"kind": "set_aside", **copies}]))
    assert page.texts_of("bdi")[-6:] == ["a", "train", "x", "b", "val", "y"]
    assert "2 pairs" in page.text()


def test_what_was_done_is_listed(tmp_path: Path) -> None:
    page = Page(written(tmp_path, fixes=[{"message": f"thing {row} done"} for row in range(20)]))
    assert page.texts_of("li") == [f"thing {row} done" for row in range(12)]
    assert "and 8 more: findings.json" in page.text()


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path, [tiny(3)])
    assert written(tmp_path, [tiny(3)]) == first
