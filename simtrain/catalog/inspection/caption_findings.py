"""Findings about captions: empty, repeated, and longer than CLIP reads."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from simtrain.phrases import counted, listed, shortened

CONTEXT_TOKENS = 77
"""What CLIP reads of a text, its start and end included (https://arxiv.org/abs/2103.00020, section 2.4)."""

_QUOTED_CHARACTERS = 80
_LETTERS_PER_TOKEN = 8  # of English words; measured on titles
_ACCENTED_LETTERS_PER_TOKEN = 3  # of a language with accents, whose words CLIP's vocabulary hardly has
_ENGLISH_SHARE_OF_ACCENTS = 0.03  # of the words; a décor or a café does not make a text foreign
_ONE_TOKEN_PER_LETTER = ((0x0400, 0x0530), (0x0600, 0x0700), (0x0900, 0x0980))  # Cyrillic, Arabic, Devanagari
_TOKENS_PER_OTHER_LETTER = 2
# As CLIP's own pattern cuts text, in terms of the standard library: `\p{L}+`, `\p{N}`, `[^\s\p{L}\p{N}]+`.
_PIECE = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\s\w]|_)+")


def caption_findings(
    ids: Sequence[str], captions: Sequence[str | None], *, products: Sequence[str | None]
) -> list[dict[str, Any]]:
    """Empty, repeated and long captions; nothing where no image has a caption.

    A text counts as repeated where images of different products have it, upper and lower case and white space aside;
    images of one product may share theirs, and an image without a product is one of its own. Each such text is a
    finding (`captions_repeated`), the most frequent first, unless more than half of the captions are repeated: then
    one finding says that they are templates (`captions_are_templates`).

    Args:
        ids: Id of each image, N of them.
        captions: Title or description of each image, or None.
        products: Product of each image, or None.
    """
    given = [(row, caption) for row, caption in enumerate(captions) if caption is not None and caption.strip()]
    if not given:
        return []
    found: list[dict[str, Any]] = []
    present = {row for row, _ in given}
    empty = [name for row, name in enumerate(ids) if row not in present]
    if empty:
        message = f"{counted(len(empty), 'image has', 'images have')} no caption, such as '{empty[0]}'"
        found.append({"kind": "captions_empty", "ids": empty, "message": message})
    found += _repeated(ids, given, products)
    return found + _cut_off([(ids[row], estimated_clip_tokens(caption)) for row, caption in given])


def estimated_clip_tokens(text: str) -> int:
    """How many tokens CLIP would make of a text, its start and end included; an estimate, without CLIP's vocabulary.

    English words count one token for each 8 letters begun; words of a text with accented Latin letters one for each 3;
    Cyrillic, Arabic and Devanagari letters one each, letters of other scripts two; a digit or a run of signs one.
    Texts of 40 to 160 tokens are on average off by 4 % (English product titles), 7 % (Persian, other English), 10 to
    17 % (German, Turkish, Russian, French, Polish), 22 % (Chinese).
    """
    pieces = _PIECE.findall(text.lower())
    accented = sum(any(_is_accented(letter) for letter in piece) for piece in pieces)
    english = accented <= _ENGLISH_SHARE_OF_ACCENTS * len(pieces)
    letters = _LETTERS_PER_TOKEN if english else _ACCENTED_LETTERS_PER_TOKEN
    return 2 + sum(_tokens(piece, letters_per_token=letters) for piece in pieces)


def _cut_off(lengths: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    long = [(name, tokens) for name, tokens in lengths if tokens > CONTEXT_TOKENS]
    if not long:
        return []
    name, tokens = max(long, key=lambda one: one[1])
    message = (
        f"by an estimate, {counted(len(long), 'caption has', 'captions have')} more than {CONTEXT_TOKENS} tokens, "
        f"where CLIP stops reading; the longest, of '{name}', about {tokens}"
    )
    return [
        {
            "kind": "captions_over_77_tokens",
            "ids": [name for name, _ in long],
            "tokens": [tokens for _, tokens in long],
            "message": message,
        }
    ]


def _tokens(piece: str, *, letters_per_token: int) -> int:
    if not piece.isalpha():
        return 1
    if all(letter.isascii() or _is_accented(letter) for letter in piece):
        return -(-len(piece) // letters_per_token)
    return sum(
        1 if any(low <= ord(letter) < high for low, high in _ONE_TOKEN_PER_LETTER) else _TOKENS_PER_OTHER_LETTER
        for letter in piece
    )


def _is_accented(letter: str) -> bool:
    return "\u00c0" <= letter <= "\u024f"


def _repeated(
    ids: Sequence[str], given: Sequence[tuple[int, str]], products: Sequence[str | None]
) -> list[dict[str, Any]]:
    rows_of: dict[str, list[int]] = defaultdict(list)
    spelled: dict[str, str] = {}
    for row, caption in given:
        text = " ".join(caption.lower().split())
        rows_of[text].append(row)
        spelled.setdefault(text, caption)
    repeated = {text: rows for text, rows in rows_of.items() if _owners(rows, products) > 1}
    ordered = sorted(repeated, key=lambda text: (-len(repeated[text]), text))
    rows = sorted(row for text in ordered for row in repeated[text])
    if 2 * len(rows) > len(given):
        return [_templates(ids, rows, given=len(given), texts=[spelled[text] for text in ordered])]
    found: list[dict[str, Any]] = []
    for text in ordered:
        names = [ids[row] for row in repeated[text]]
        owners = _owners(repeated[text], products)
        caption = shortened(spelled[text], to=_QUOTED_CHARACTERS)
        message = f"{len(names)} images of {owners} different products have the caption '{caption}': {listed(names)}"
        found.append({"kind": "captions_repeated", "caption": spelled[text], "ids": names, "message": message})
    return found


def _templates(ids: Sequence[str], rows: Sequence[int], *, given: int, texts: Sequence[str]) -> dict[str, Any]:
    examples = listed([shortened(text, to=_QUOTED_CHARACTERS) for text in texts])
    message = (
        f"{len(rows)} of {given} captions are shared by different products, which makes them templates or categories "
        f"rather than descriptions; {counted(len(texts), 'text')}: {examples}"
    )
    names = [ids[row] for row in rows]
    return {"kind": "captions_are_templates", "captions": list(texts), "ids": names, "message": message}


def _owners(rows: Iterable[int], products: Sequence[str | None]) -> int:
    """Of how many different products the images are; one without a product is a product of its own."""
    return len({f"image {row}" if products[row] is None else f"product {products[row]}" for row in rows})
