"""Fields with several JSON keys, of which the first with a value counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["JsonKey", "first_key", "key_in", "under_first_keys"]

JsonKey = str | tuple[str, ...]
"""The JSON key of a field, or several keys, of which the first with a value counts."""


def first_key(key: JsonKey) -> str:
    """Return the key, or the first of several."""
    return key if isinstance(key, str) else key[0]


def key_in(item: Mapping[str, Any], key: JsonKey) -> str:
    """Return the key under which an item holds a field, or the first key if it does not."""
    if isinstance(key, str):
        return key
    present = [name for name in key if name in item]
    return next((name for name in present if item[name] is not None), next(iter(present), key[0]))


def under_first_keys(item: Mapping[str, Any], keys: Iterable[JsonKey]) -> Mapping[str, Any]:
    """Return the item with each field under the first of its keys."""
    firsts = {first_key(key): key_in(item, key) for key in keys}
    moved = {first: item[key] for first, key in firsts.items() if key in item}
    used = {*firsts.values()}
    return {key: value for key, value in item.items() if key not in used} | moved
