"""Signatures of texts: 64 bits each, one for every two neighbouring bytes of it.

Where a text holds another one, its signature has all bits of the other's. The reverse is not so: what has them is a
candidate, and is looked through. Ten million signatures are looked at in a hundredth of a second (Faloutsos and
Christodoulakis, "Signature files", 1984).
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

FACTOR, MIX = 31, 2_654_435_761  # Knuth, TAOCP 6.4: the golden ratio of 32 bits


def of(texts: "pa.ChunkedArray[Any]") -> "pa.Array[Any]":
    """Of each text, as numbers of 64 bits; 0 for one that is empty or null."""
    whole: Any = pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], pa.string())
    filled: Any = whole.fill_null("").cast(pa.string())
    begins = np.frombuffer(filled.buffers()[1], np.int32)[filled.offset : filled.offset + len(filled) + 1]
    written = np.frombuffer(filled.buffers()[2] or b"", np.uint8)[begins[0] : begins[-1]].astype(np.uint32)
    begins = begins - begins[0]
    found = np.zeros(len(filled), np.uint64)
    if len(written) < 2:
        return pa.array(found)
    bits = np.zeros(len(written), np.uint64)
    bits[:-1] = np.left_shift(np.uint64(1), _place(written[:-1], written[1:]).astype(np.uint64))
    lengths = np.diff(begins)
    there = lengths > 0
    bits[begins[1:][there] - 1] = 0  # the last byte of a text has no neighbour
    found[there] = np.bitwise_or.reduceat(bits, begins[:-1][there])
    return pa.array(found)


@lru_cache(maxsize=1000)
def one(text: str) -> int:
    """That of one text."""
    [found] = of(pa.chunked_array([pa.array([text])])).to_pylist()
    return int(found or 0)


def _place(first: "np.ndarray[Any, Any]", second: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    found: np.ndarray[Any, Any] = ((first * np.uint32(FACTOR) + second) * np.uint32(MIX)) >> np.uint32(26)
    return found
