"""Several JSON keys for one field: the first that holds something counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["JsonKey", "first_key", "key_in", "under_first_keys"]

JsonKey = str | tuple[str, ...]
"""The JSON key of a field, or several of which the first that holds something counts."""


def first_key(key: JsonKey) -> str:
    """Return the key, or the first of several."""
    return key if isinstance(key, str) else key[0]


def key_in(item: Mapping[str, Any], key: JsonKey) -> str:
    """Return the key under which an item holds a field; the first if there is none."""
    if isinstance(key, str):
        return key
    present = [one for one in key if one in item]
    return next((one for one in present if item[one] is not None), next(iter(present), key[0]))


def under_first_keys(item: Mapping[str, Any], keys: Iterable[JsonKey]) -> Mapping[str, Any]:
    """Return an item that holds each field under the first of its keys."""
    firsts = {first_key(key): key_in(item, key) for key in keys}
    moved = {first: item[key] for first, key in firsts.items() if key in item}
    used = {*firsts.values()}
    return {key: value for key, value in item.items() if key not in used} | moved
