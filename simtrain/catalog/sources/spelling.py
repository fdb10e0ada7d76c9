"""Spellings that a person reads as equal: of products and labels, of columns' names, of file names."""

import re
import unicodedata

_SHAPELESS: dict[str, str | int | None] = dict.fromkeys(
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068"
    "\u2069\ufe0e\ufe0f\ufeff",
    "",
)
"""Characters without a shape: marks of direction and order, places where a line may end."""

_JOINERS: dict[str, str | int | None] = dict.fromkeys("\u200c\u200d", "")
"""They decide how letters are joined, and are typed or left out in the same word."""

_LETTERS: dict[str, str | int | None] = {
    "\u064a": "\u06cc", "\u0649": "\u06cc",  # yeh
    "\u0643": "\u06a9",  # kaf
    "\u06d5": "\u0647", "\u06c0": "\u0647",  # heh
    "\u0640": "",  # a stroke that makes a word longer
    "\u0670": "", **{chr(mark): "" for mark in range(0x064B, 0x0653)},  # signs of vowels
    **{chr(0x0660 + digit): str(digit) for digit in range(10)},
    **{chr(0x06F0 + digit): str(digit) for digit in range(10)},
}  # fmt: skip
"""Arabic and Persian letters and digits that look the same or are left out."""

_STROKES: dict[str, str | int | None] = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58", "-"),
    **dict.fromkeys("\u2018\u2019\u201b\u02bc\u2032\u00b4\u0060", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
}  # fmt: skip
"""Dashes and quotes, which word processors put in the place of those of the keyboard."""

_TWINS = dict(
    zip(
        "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425"  # Cyrillic
        "\u0430\u0435\u043e\u0440\u0441\u0443\u0445"
        "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf",  # Greek
        "ABEKMHOPCTYXaeopcyxABEZHIKMNOPTYXo",
        strict=True,
    )
)
"""Letters of other alphabets in the shape of Latin ones."""

_COMPARED = str.maketrans({**_SHAPELESS, **_JOINERS, **_LETTERS, **_STROKES, **_TWINS})
_CLEANED = str.maketrans(_SHAPELESS)
_TEXT_MARK = re.compile(r"'(?=[0-9])")


def compared(value: str) -> str:
    """The form by which a value is compared: equal for values that a person reads as equal, but for capitals.

    Blanks at the ends and in number, the Unicode form (wide letters, ligatures), letters and strokes of one shape,
    characters without a shape and a spreadsheet's mark of a text (`'00123`) do not count.
    """
    form = " ".join(unicodedata.normalize("NFKC", value).translate(_COMPARED).split())
    return form[1:] if _TEXT_MARK.match(form) else form


def cleaned(value: str) -> str:
    """The value as it is shown: composed letters, single blanks, no characters without a shape."""
    text = unicodedata.normalize("NFC", value).translate(_CLEANED)
    return " ".join(text.split()).strip("\u200c\u200d") if text.strip() else ""


def folded(name: str) -> str:
    """The form by which names of columns and files are compared; capitals do not count either."""
    return compared(name).casefold()
