"""Mutations of files by a seeded generator: bytes, and values of JSON and YAML."""

import copy
import json
import random
import struct
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "\0", "../../etc", "x" * 5000,
    "۱۲", [], {}, [[]], {"kind": "x"}, ["a", 1, None], "SIGKILL", "2026-13-45", "-0", 0.5,
)  # fmt: skip


def mutated_bytes(content: bytes, chance: random.Random) -> bytes:
    """Some bytes flipped, removed, doubled, or replaced by odd numbers; or the file cut short."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if not changed:
            break
        place = _place(len(changed), chance)
        match chance.randrange(6):
            case 0:
                changed[place] ^= 1 << chance.randrange(8)
            case 1:
                changed[place] = chance.randrange(256)
            case 2:
                del changed[place : place + chance.choice((1, 4, 64))]
            case 3:
                changed[place:place] = changed[max(0, place - 32) : place]
            case 4:
                number = chance.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1))
                changed[place : place + 8] = struct.pack("<Q", number)
            case _:
                del changed[place:]
    return bytes(changed)


def mutated_json(text: str, chance: random.Random) -> str:
    """JSON with one to three of its values replaced, removed or renamed."""
    tree = json.loads(text)
    for _ in range(chance.randint(1, 3)):
        mutate_tree(tree, chance)
    return json.dumps(tree)


def mutate_tree(tree: Any, chance: random.Random) -> None:
    """Replace, remove or rename one value of nested dictionaries and lists, in place."""
    holders = [holder for holder in _holders(tree) if holder]
    if not holders:
        return
    holder = chance.choice(holders)
    key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    match chance.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        case _:
            holder[key] = copy.deepcopy(chance.choice(ODD_VALUES))  # which may be mutated next


def _holders(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [tree, *(found for value in tree.values() for found in _holders(value))]
    if isinstance(tree, list):
        return [tree, *(found for value in tree for found in _holders(value))]
    return []


def _place(length: int, chance: random.Random) -> int:
    """Anywhere, and often near the start or the end, where formats keep what tells them apart."""
    near = min(length, 200)
    return chance.choice((chance.randrange(length), chance.randrange(near), length - 1 - chance.randrange(near)))
