"""Encoding of text tables: UTF-8, UTF-16 and UTF-32, else the old one that their letters make most likely."""

import re
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from simtrain.errors import CatalogError
from simtrain.phrases import quoted, shortened

_OLD = {
    "cp1252": "Western Europe",
    "cp1250": "Central Europe",
    "cp1254": "Turkish",
    "cp1251": "Cyrillic",
    "cp1253": "Greek",
    "cp1255": "Hebrew",
    "cp1256": "Arabic and Persian",
    "cp874": "Thai",
    "cp932": "Japanese, Shift-JIS",
    "euc_jis_2004": "Japanese, EUC-JP",
    "gb18030": "Chinese",
    "big5hkscs": "Chinese, traditional",
    "cp949": "Korean",
    "koi8-r": "Cyrillic, KOI8-R",
    "cp866": "Cyrillic of DOS",
    "mac-roman": "Western Europe, old Mac",
}
"""Encodings that spreadsheets still write, and what for."""

_FIT_ANYTHING = ("koi8-r", "cp866", "mac-roman")
"""Those by which any bytes are some text."""

_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿœŒ"
_SIGNS = "\u00a0\u00ad€£¥©®™°½¼¾×·•«»‘’“”„–—…²³¹µ§±ªº¿¡"  # noqa: RUF001 - the signs themselves
"""What tables of Western Europe hold beside ASCII."""

_NOT_WESTERN = re.compile(
    rf"[^\x00-\x7f{_LETTERS}{_SIGNS}]"  # a letter of other languages, or what other encodings' letters look like
    rf"|[{_LETTERS}]{{3,}}"  # a word of another alphabet
    r"|[^\W\d_][€£¥½¼¾×²³¹§±¿¡ªº]+[^\W\d_]|(?<![^\W_])[£¥½¼¾×²³¹§±][^\W\d_]"  # noqa: RUF001 - signs within words
)

_LOOKED_AT = 200_000
_FOREIGN_LETTERS = re.compile(rb"[\x80-\xff]{3,}")
_FOREIGN_WORD = re.compile(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*")


def decoded(path: Path, data: bytes, *, encoding: str | None) -> tuple[str, list[str]]:
    """The text of a file without its mark, and what is worth telling of its encoding.

    Args:
        path: The file, for messages.
        data: Its content.
        encoding: Name of its encoding; None: UTF-8, UTF-16 or UTF-32, or the old one that is most likely (told).

    Raises:
        CatalogError: if it cannot be decoded so.
    """
    if encoding is not None:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), []
        except (LookupError, UnicodeDecodeError) as error:
            raise CatalogError(f"{path}: dialect.encoding '{encoding}' does not fit: {error}") from None
    wide = _wide_encoding(data)
    if wide is not None:
        try:
            return data.decode(wide).removeprefix("\ufeff"), [f"its text is {wide[:6].upper()}"]
        except UnicodeDecodeError as error:
            raise CatalogError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        return _by_its_letters(path, data, reason=error.reason)


def _by_its_letters(path: Path, data: bytes, *, reason: str) -> tuple[str, list[str]]:
    likely, text = _likely_encoding(data), None
    if likely is not None:
        with suppress(UnicodeDecodeError):
            text = data.decode(likely)
    if likely is None or text is None or (likely in _FIT_ANYTHING and not _is_of_letters(text)):
        raise CatalogError(
            f"{path}: not UTF-8 text ({reason}), and no other encoding that is known fits; save it as UTF-8, or name "
            "its encoding with --set dialect.encoding=NAME, such as Windows' cp1252 for Western Europe or cp1256 for "
            "Arabic and Persian"
        )
    found = _FOREIGN_WORD.search(text)
    such = f", such as {quoted(shortened(found.group(), to=40))}" if found else ""
    remark = f"its text is not UTF-8 and was read as {likely} ({_OLD[likely]}){such}; if that is wrong: "
    return text, [f"{remark}--set dialect.encoding=NAME"]


def _is_of_letters(text: str) -> bool:
    """Whether what is not ASCII is letters for the most part, not frames and signs."""
    foreign = [character for character in text if not character.isascii()]
    return sum(map(str.isalpha, foreign)) > 0.8 * len(foreign)


def _likely_encoding(data: bytes) -> str | None:
    """One of the old encodings, by the lines that have letters beyond ASCII; None: none fits.

    Few and short words are what statistics of letters guess wrongly, and Western Europe's is by far the most common: it
    is taken wherever the text is one of Western Europe by it.
    """
    lines: dict[bytes, None] = {}
    size = 0
    for line in BytesIO(data):
        for part in line.split(b"\r"):
            if not part.isascii() and part not in lines:
                lines[part] = None
                size += len(part)
        if size > _LOOKED_AT:
            break
    looked_at = b"\n".join(lines)
    if _is_western(looked_at):
        return "cp1252"
    from chardet import detect  # a tenth of a second, which other tables need not pay

    found = detect(looked_at, include_encodings=_OLD, max_bytes=_LOOKED_AT, compat_names=False)["encoding"]
    if found == "cp1252":
        foreign = sum(map(len, _FOREIGN_LETTERS.findall(data)))
        if 2 * foreign > sum(byte >= 0x80 for byte in data):  # whole words of other letters: not Western Europe
            return None
    return found if found in _OLD else None


def _is_western(data: bytes) -> bool:
    """Whether cp1252 gives words and signs of Western Europe, and nothing else."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    asked = all(sign not in text or end in text for sign, end in (("¿", "?"), ("¡", "!")))
    return asked and _NOT_WESTERN.search(text) is None


def _wide_encoding(data: bytes) -> str | None:
    """UTF-32 or UTF-16 by its mark, or by the zeros of Latin letters; None: neither."""
    if data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    head = data[:2000]
    for encoding, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros and zeros.count(0) > 0.6 * len(zeros) and 0 not in others:
            return encoding
    return None
