"""Text files: which encoding, which separator, and the table in it."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from .findings import SEPARATORS, TAB, Choice, Findings, Options
from .header import apply_header, find_header
from .table import RawTable

_STRANGE_LETTER = re.compile(r"[^\W\d_\x00-\x7f]")
_SAMPLE_CHARACTERS, _SAMPLE_ROWS = 400_000, 300
_CODE_PAGES = ("cp1252", "cp1250", "cp850", "cp1251", "mac_roman", "iso8859_2")
"""Eight-bit encodings of spreadsheets and old systems, the commoner ones first."""
_ALPHABETS = {
    "cp1252": ("äöüß", "éèêëàâçîïôûùœæ", "ñáéíóúü", "èéàìòù", "åøæäöé", "ãõçáéíóúâêôà", "éëïóöüè"),
    "cp1250": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţșț", "čćđšž", "äöüß"),
    "cp850": ("äöüß", "éèêëàâçîïôûù", "ñáéíóúü", "åøæäöé"),
    "cp1251": ("абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"),
    "mac_roman": ("äöüß", "éèêëàâçîïôûù", "ñáéíóúü", "åøæäöé"),
    "iso8859_2": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áéíóöőúüű", "čćđšž"),
}
"""Letters beyond ASCII of the languages that a code page was made for."""
_OPENING = "„“«‘‚"
_COMMON_SIGNS = "€£§°²³µ×½¼®©™„“”‚‘’–—…«»\u00a0"
_NAMES = {
    "utf_8_sig": "UTF-8 with a mark at its start",
    "utf_8": "UTF-8",
    "utf_16": "UTF-16",
    "utf_16_le": "UTF-16 (little-endian)",
    "utf_16_be": "UTF-16 (big-endian)",
}


def read_text(data: bytes, options: Options, findings: Findings) -> RawTable:
    """Read a table from the bytes of a text file.

    Args:
        data: of the file.
        options: an encoding and a separator there are taken as they are.
        findings: what was found.

    Raises:
        InputError: where there is no table in it.
    """
    text = _decode(data, options, findings)
    lines = text[:_SAMPLE_CHARACTERS].splitlines(keepends=True)
    skipped, separator = 0, options.separator_sign
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) <= 5:
        separator, skipped = separator or lines[0].rstrip("\r\n")[4:5] or TAB, 1
        lines = lines[1:]
    if separator is None:
        separator = _find_separator(lines, findings)
    else:
        findings.say("separator", f"columns separated by {separator_word(separator)}", "given", separator=separator)
    sample = _sample_rows(lines, separator, whole=len(text) <= _SAMPLE_CHARACTERS)
    if not sample or max(map(len, sample)) < 2:
        findings.fault("holds a single column; name the separator with --separator, or write it as CSV")
        raise findings.stop()
    width = max(map(len, sample))
    head = find_header(sample)
    frame = _read_cells(data if _is_utf8(findings) else text.encode(), separator, width, findings)
    # Blank lines are no rows to the reader of cells; the line sep= is one.
    before = sum(1 for row in sample[: head.last + 1] if len(row) > 1 or any(row)) + skipped
    return apply_header(frame.iloc[before:], sample, head, findings, first=head.last + 2 + skipped)


def separator_word(separator: str) -> str:
    """Return how a separator is called in a message."""
    return "tabs" if separator == TAB else repr(separator)


def _is_utf8(findings: Findings) -> bool:
    return any(d.topic == "encoding" and d.values["encoding"] in ("utf_8", "utf_8_sig") for d in findings.decisions)


def _decode(data: bytes, options: Options, findings: Findings) -> str:
    how = "given" if options.encoding else "recognised"
    encoding = options.encoding or _marked(data) or _find_code_page(data, findings)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        findings.fault(f"is not text in {encoding} (byte {error.start}); leave --encoding out, or name another")
        raise findings.stop() from None
    if "\0" in text[:_SAMPLE_CHARACTERS]:
        findings.fault("holds bytes that no text has; write it as CSV, xlsx or Parquet")
        raise findings.stop()
    strange = _STRANGE_LETTER.search(text, 0, _SAMPLE_CHARACTERS)
    shown = f", e.g. {_word_at(text, strange.start())!r}" if strange and encoding not in _NAMES else ""
    findings.say("encoding", f"text in {_NAMES.get(encoding, encoding)}{shown}", how, encoding=encoding)
    return text.removeprefix("\ufeff")


def _word_at(text: str, at: int) -> str:
    """Return the word that a letter stands in, as much of it as can be shown."""
    before = "".join(re.findall(r"[^\W\d_]*$", text[max(0, at - 15) : at])[:1])
    return before + "".join(re.findall(r"^[^\W\d_]*", text[at : at + 15])[:1])


def _marked(data: bytes) -> str | None:
    """Return the encoding that a file's first bytes, or its validity, prove; None for an eight-bit code page."""
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf_8_sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf_16"
    head = data[:2000]
    if len(head) > 3 and head.count(0) > len(head) // 4:
        return "utf_16_le" if head[1::2].count(0) > head[::2].count(0) else "utf_16_be"
    try:
        data.decode("utf_8")
    except UnicodeDecodeError:
        return None
    return "utf_8"


def _find_code_page(data: bytes, findings: Findings) -> str:
    """Return the code page under which the letters beyond ASCII are those of a language, where one alone is."""
    words = Counter(part for part in data[:4_000_000].replace(b"\r", b"\n").split(b"\n") if not part.isascii())
    scores, samples = {}, {}
    for page in _CODE_PAGES:
        try:
            sample = b"\n".join(words).decode(page)
        except UnicodeDecodeError:
            continue
        strange = [(at, sign) for at, sign in enumerate(sample) if not sign.isascii()]
        # One language: letters of several that never stand together are those of another code page.
        languages = [sum(_fits(sample, at, sign, letters) for at, sign in strange) for letters in _ALPHABETS[page]]
        scores[page], samples[page] = max(languages) / max(1, len(strange)), sample
    if not scores:
        return "latin_1"
    best = max(scores, key=lambda page: scores[page])
    rivals = [page for page in scores if scores[page] >= scores[best] - 0.02 and samples[page] != samples[best]]
    if rivals:
        pages = [best, *rivals][:3]
        shown = ", ".join(f"{_example(samples[page])!r} in {page}" for page in pages)
        choices = [Choice({"encoding": page}, repr(_example(samples[page]))) for page in pages]
        findings.ask("encoding", f"is not UTF-8, and its letters read as {shown}", *choices)
    return best


def _fits(sample: str, at: int, sign: str, letters: str) -> float:
    """Return how plausible a sign beyond ASCII is where it stands, 0 to 1, in a language with these letters."""
    before, after = sample[at - 1 : at], sample[at + 1 : at + 2]
    if sign.lower() in letters:
        if "я" in letters and any(near.isascii() and near.isalpha() for near in (before, after)):
            return 0.0  # Latin and Cyrillic letters do not share a word
        # A capital inside a word of small letters belongs to another code page, and so does one that stands alone:
        # what is "€" in cp1252 is "Ä" in mac_roman.
        alone = "я" not in letters and not (before.isalpha() or after.isalpha())
        return 0.2 if sign.isupper() and (before.islower() or alone) else 1.0
    if sign == "’":
        return 1.0
    # Opening signs stand before a word, closing ones after it, currencies by themselves.
    strange = (after.isalpha() and sign not in _OPENING) or (before.isalpha() and sign in _OPENING + "€£µ§")
    return 1.0 if sign in _COMMON_SIGNS and not strange else 0.0


def _example(sample: str) -> str:
    line = next((line for line in sample.splitlines() if not line.isascii()), "")
    at = next((at for at, sign in enumerate(line) if not sign.isascii()), 0)
    return line[max(0, at - 8) : at + 8].strip()


def _find_separator(lines: Sequence[str], findings: Findings) -> str:
    """Return the sign that cuts the lines into the same number of fields, most of all signs."""
    found: dict[str, tuple[float, int]] = {}
    for sign in (",", ";", TAB, "|"):
        rows = [row for row in _sample_rows(lines, sign, whole=False) if any(cell.strip() for cell in row)]
        widths = Counter(map(len, rows))
        width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]), default=(1, 0))
        if width > 1:
            found[sign] = (count / len(rows), width)
    if not found:
        for sign in (",", ";", TAB, "|"):
            if any(sign in line for line in lines):
                found[sign] = (0.0, 2)
    best = max(found, key=lambda sign: (round(found[sign][0], 1), found[sign][1]), default=",")
    rivals = [
        sign
        for sign in found
        if sign != best and found[sign][0] > 0.95 and found[best][0] <= found[sign][0] and found[sign][1] > 2
    ]
    names = {sign: word for word, sign in SEPARATORS.items() if word.isalpha()}
    if rivals:
        choices = [Choice({"separator": names[s]}, f"{found[s][1]} columns") for s in (best, *rivals)]
        findings.ask("separator", "every line can be cut in more than one way", *choices)
    findings.say("separator", f"columns separated by {separator_word(best)}", separator=best)
    return best


def _sample_rows(lines: Sequence[str], separator: str, *, whole: bool) -> list[list[str]]:
    """Return the first rows as lists of cells; without the last one where it may be cut."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO("".join(lines), newline=""), delimiter=separator):
            rows.append([cell.strip() for cell in row])
            if len(rows) == _SAMPLE_ROWS:
                return rows
    except csv.Error:
        pass
    return rows if whole or len(rows) < 3 else rows[:-1]


def _read_cells(data: bytes, separator: str, width: int, findings: Findings) -> pd.DataFrame:
    """Return all cells of a file as text; lines that are blank are left out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.BytesIO(data),
                sep=separator,
                header=None,
                names=list(range(width)),
                index_col=False,
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                encoding="utf-8-sig",
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())[:160].replace("Error tokenizing data. C error: ", "")
        findings.fault(
            f"its rows have unequal numbers of columns: {reason}; put texts that hold {separator!r} in quotes"
        )
        raise findings.stop() from None
