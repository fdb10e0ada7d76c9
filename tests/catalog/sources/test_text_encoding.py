"""Encodings of tables that are not UTF-8: found by their letters, told, and refused where none fits."""

from pathlib import Path

import pytest

from simtrain.catalog.sources.text_encoding import decoded
from simtrain.errors import CatalogError

NAMES = {
    "cp1250": [
        "Koszula męska żółta",
        "Łóżko białe",
        "Šálek na kávu",
    ],
    "cp1251": ["Кружка белая", "Стул"],
    "cp1252": [
        "Größe 38 für Küche",
        "Stühle weiß",
        "Schöne Hüte \u2013 10 €",
    ],
    "cp1253": ["Ξύλινη καρέκλα"],
    "cp1254": ["Kad\u0131n ayakkab\u0131", "Çocuk gömleği", "Ahşap şapka güneşlik"],
    "cp1256": [
        "کفش زنانه",
        "حذاء رجالي",
    ],
    "cp932": ["コーヒーカップ 白", "木製の椅子"],
    "gb18030": ["女士皮鞋 黑色", "木椅子", "咖啡杯 白色"],
    "cp949": ["여성 구두 검정", "나무 의자"],
}


def table_of(names: list[str], line_end: str = "\r\n") -> str:
    rows = [f"images/sku_{row:05d}.jpg,p{row // 2},{3.5 * row},{name}" for row, name in enumerate(names * 2)]
    return line_end.join(["path,product,price,caption", *rows])


@pytest.mark.parametrize("encoding", NAMES)
@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_an_old_encoding_is_found_and_told_with_a_word(encoding: str, line_end: str) -> None:
    text = table_of(NAMES[encoding], line_end)
    data = text.encode(encoding, "replace")  # cp1256 has no Persian yeh
    found, (remark,) = decoded(Path("t.csv"), data, encoding=None)
    assert found == data.decode(encoding)
    word = next(word for word in found.replace(",", " ").split() if not word.isascii())
    assert remark.startswith(f"its text is not UTF-8 and was read as {encoding} (")
    assert remark.endswith(f"), such as '{word}'; if that is wrong: --set dialect.encoding=NAME")


@pytest.mark.parametrize(
    "name",
    [
        "10 \u20ac",
        "Lego\u00ae set",
        "a\u00a0b",
        "Caf\u00e9 mug",
        "Tazza da caff\u00e8, qualit\u00e0",
        "Porte-cl\u00e9s \u00e9t\u00e9, th\u00e9 \u00e0 la cr\u00e8me",
        "\u00bd price",
        "3 \u00d7 20 cm",
        "3 \u00d7 20 cm, \u00bd price",
        "Cr\u00e8me",
        "\u00bfQu\u00e9 talla?",
        "Fl\u00e4che 3 m\u00b2, 20\u00b0C, \u201eneu\u201c",
        "m\u00f8bel, bl\u00e5 st\u00f8vler",
        "cal\u00e7\u00f5es de algod\u00e3o",
    ],
)
def test_one_short_word_of_western_europe_is_enough(name: str) -> None:
    data = f"path,product,caption\n0.jpg,p0,{name}\n1.jpg,p1,plain\n".encode("cp1252")
    found, (remark,) = decoded(Path("t.csv"), data, encoding=None)
    assert found == data.decode("cp1252")
    assert "was read as cp1252 (Western Europe)" in remark


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1250", "\u0142awka, \u017c\u00f3\u0142ta w\u0105ska"),
        ("cp1250", "Hrne\u010dek \u010derven\u00fd s medv\u011bdem"),
        ("cp1254", "k\u0131rm\u0131z\u0131 \u015fi\u015fe, b\u00fcy\u00fck"),
        ("cp1251", "\u0421\u0442\u043e\u043b \u0438\u0437 \u0434\u0443\u0431\u0430"),
        ("cp1253", "\u03c4\u03c1\u03b1\u03c0\u03ad\u03b6\u03b9 \u03be\u03cd\u03bb\u03b9\u03bd\u03bf"),
        ("cp1256", "\u0643\u0631\u0633\u064a \u062e\u0634\u0628\u064a"),
    ],
)
def test_one_short_name_of_elsewhere_is_not_of_western_europe(encoding: str, name: str) -> None:
    data = "".join(f"{row}.jpg,p{row},{name} {row}\n" for row in range(6)).encode(encoding)
    assert decoded(Path("t.csv"), data, encoding=None)[0] == data.decode(encoding)


def test_letters_far_down_a_long_table_decide() -> None:
    plain = "".join(f"images/{row:06d}.jpg,p{row},a plain name\n" for row in range(20_000))
    data = (plain + table_of(NAMES["cp1254"])).encode("cp1254")
    assert decoded(Path("t.csv"), data, encoding=None)[0] == data.decode("cp1254")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_unicode_needs_no_guess(encoding: str) -> None:
    text = table_of(NAMES["cp1250"])
    found, remarks = decoded(Path("t.csv"), text.encode(encoding), encoding=None)
    assert (found, len(remarks)) == (text, 0 if encoding.startswith("utf-8") else 1)


def test_what_no_encoding_fits_is_refused() -> None:
    with pytest.raises(CatalogError) as told:
        decoded(Path("t.csv"), b"path\n" + bytes(range(128, 256)) * 3, encoding=None)
    assert str(told.value) == (
        "t.csv: not UTF-8 text (invalid start byte), and no other encoding that is known fits; save it as UTF-8, or "
        "name its encoding with --set dialect.encoding=NAME, such as Windows' cp1252 for Western Europe or cp1256 for "
        "Arabic and Persian"
    )


def test_an_encoding_that_is_named_is_not_guessed() -> None:
    data = "path\nk\u00f6nig.jpg\n".encode("cp1252")
    assert decoded(Path("t.csv"), data, encoding="cp1250") == (data.decode("cp1250"), [])
    with pytest.raises(CatalogError, match=r"^t\.csv: dialect\.encoding 'utf-8' does not fit: "):
        decoded(Path("t.csv"), data, encoding="utf-8")
