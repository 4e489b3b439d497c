"""Errors of the operating system in words, and texts that a terminal can show."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

from ...errors import shorten

MOST_SHOWN = 100
"""Faults that are printed; the others are counted."""
_LONGEST = 1_500
"""Characters of a line of a message."""
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move the cursor, colour or reorder what is shown, and halves of characters."""
_ELSEWHERE = "give another --out"
_REASONS = {
    "ENOSPC": ("no space is left on the disk", f"make room, or {_ELSEWHERE}"),
    "EDQUOT": ("your share of the disk is used up", f"make room, or {_ELSEWHERE}"),
    "EFBIG": ("a file may not become this large here (see `ulimit -f`)", f"raise the limit, or {_ELSEWHERE}"),
    "EROFS": ("the disk can only be read", _ELSEWHERE),
    "EACCES": ("permission denied", f"change the permissions, or {_ELSEWHERE}"),
    "EPERM": ("the operation is not permitted", f"change the permissions, or {_ELSEWHERE}"),
    "ENAMETOOLONG": ("the name is longer than the file system takes", "give a shorter one"),
    "ENOENT": ("there is no such file or folder any more", "check the path, and that nothing else removes it"),
    "ENOTDIR": ("a part of the path is a file, not a folder", "check the path"),
    "EISDIR": ("is a folder", "give the name of a file"),
    "EEXIST": ("is there already", _ELSEWHERE),
    "ENOTEMPTY": ("something else was written there meanwhile", _ELSEWHERE),
    "EXDEV": ("lies on another disk", _ELSEWHERE),
    "EBUSY": ("is in use by another process", "wait for it, or give another --out"),
    "ETXTBSY": ("is in use by another process", "wait for it, or give another --out"),
    "ELOOP": ("is a link that leads to itself", "check the path"),
    "EIO": ("the disk failed", "copy the files to another disk"),
    "EMFILE": ("too many files are open", "raise the limit (`ulimit -n`)"),
    "ENFILE": ("too many files are open", "close other programs"),
    "EINVAL": ("the file system does not take this name or operation", "give another path"),
}
"""By the name of an error of the operating system: what it is, and what to do."""


def describe_os_error(error: OSError) -> str | None:
    """Return what is wrong with a path, and what to do about it; None for an error that no input explains.

    >>> describe_os_error(OSError(errno.ENOSPC, "No space left on device", "runs/a"))
    'runs/a: no space is left on the disk; make room, or give another --out'
    """
    reason = _REASONS.get(errno.errorcode.get(error.errno or 0, ""))
    if reason is None:
        return None
    where = "" if error.filename is None else f"{_text(error.filename)}: "
    return f"{where}{reason[0]}; {reason[1]}"


def visible(text: str) -> str:
    r"""Return a message with its unseen characters written out, and its very long lines cut in the middle.

    >>> print(visible("item " + chr(27) + "[2J has no price"))
    item \x1b[2J has no price
    """
    shown = _UNSEEN.sub(lambda found: repr(found.group())[1:-1], text)
    return "\n".join(shorten(line, _LONGEST) for line in shown.split("\n"))


def visible_faults(faults: Sequence[str]) -> list[str]:
    """Return faults as they are shown: the first ones, and how many more there are."""
    shown = [visible(fault) for fault in faults[:MOST_SHOWN]]
    return [*shown, f"and {len(faults) - MOST_SHOWN:,} more faults"] if len(faults) > MOST_SHOWN else shown


def _text(path: object) -> str:
    return path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else str(path)
