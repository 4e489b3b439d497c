"""Mutations of bytes and of text, whatever they hold."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

SPLINTERS = (
    *(b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b'"', b'""', b'"\n', b"'", b"\n", b"\r", b"\r\n\r\n", b",", b",,,"),
    *(b";", b"\t", b"|", b"=", b"#", b"[", b"]]", b"{", b"\\", b"\x1b[31m", b"\xc3", b"\xed\xa0\x80", b"\x1a", b"\x85"),
    *("\u2028\u202e\u200b".encode(), "é".encode("cp1252"), b"sep=;\n", b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"BZh9"),
)
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp1252", "cp500", "shift_jis")
LARGE = 4_000_000
"""Bytes that a small packed file unpacks to: more than a command should hold of it without a word."""


def mutate_bytes(rng, data):
    """Return the bytes after one to five small changes."""
    found = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(0, len(found) + 1))
        kind = rng.integers(0, 7)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del found[at : at + int(rng.integers(1, 40))]
        elif kind == 2:
            found[at:at] = SPLINTERS[rng.integers(len(SPLINTERS))]
        elif kind == 3:
            found[at:at] = rng.bytes(int(rng.integers(1, 20)))
        elif kind == 4:
            found[at:at] = found[at : at + int(rng.integers(1, 200))]
        elif kind == 5 and rng.random() < 0.3:
            del found[at:]
        elif at < len(found):
            found[at] = int(rng.integers(0, 256))
    return bytes(found)


def mutate_text(rng, text):
    """Return the bytes of a text in another encoding, with other line ends or with other separators."""
    kind = rng.integers(0, 6)
    if kind == 0:
        return text.encode(ENCODINGS[rng.integers(len(ENCODINGS))], errors="replace")
    if kind == 1:
        return text.replace("\n", ("\r\n", "\r", "\n\n", "\n\r", "\u2028", "\v")[rng.integers(6)]).encode()
    if kind == 2:
        return text.replace(",", (";", "\t", "|", " ", ", ", ",,", "\0")[rng.integers(7)]).encode()
    if kind == 3:
        return text.replace(".", ",").encode()
    if kind == 4:
        return (("\n" * 3, "\ufeff\ufeff", "Report of 2024\n\n", "sep=;\n", " ", "#")[rng.integers(6)] + text).encode()
    return (
        text.rstrip("\n").encode() + (b"\x1a", b"\0" * 50, b'"', b"\n" * 400, b",", b"\nTotal,,999\n")[rng.integers(6)]
    )


def pack(rng, data, name):
    """Return bytes packed in one of several ways, or a small file that unpacks to a very large one."""
    large = b"item_id,date,sales\n" + b"a,2024-01-01,1\n" * (LARGE // 15)
    kinds = {
        "gzip": lambda: gzip.compress(data),
        "bzip2": lambda: bz2.compress(data),
        "xz": lambda: lzma.compress(data),
        "gzip, large": lambda: gzip.compress(large, 1),
        "gzip, again and again": lambda: _pack_often(data, int(rng.integers(2, 200))),
        "zip": lambda: _zip({name: data}),
        "zip, outside": lambda: _zip({"../../outside.csv": data}),
        "zip, large": lambda: _zip({name: large}),
        "zip, many": lambda: _zip({f"{at}/{name}": b"x" for at in range(300)}),
    }
    return kinds[rng.choice(list(kinds))]()


def _pack_often(data, times):
    for _ in range(times):
        data = gzip.compress(data, 1)
    return data


def _zip(files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return archive.getvalue()
