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
        "name its encoding, such as Windows' for Arabic and Persian: --set dialect.encoding=cp1256"
    )


def test_an_encoding_that_is_named_is_not_guessed() -> None:
    data = "path\nk\u00f6nig.jpg\n".encode("cp1252")
    assert decoded(Path("t.csv"), data, encoding="cp1250") == (data.decode("cp1250"), [])
    with pytest.raises(CatalogError, match=r"^t\.csv: dialect\.encoding 'utf-8' does not fit: "):
        decoded(Path("t.csv"), data, encoding="utf-8")
