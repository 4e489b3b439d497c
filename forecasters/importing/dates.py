"""Readings of one date as text: every way in which it can be meant.

A reading is one of
"ymd", "dmy", "mdy" (numbers in that order), "named" (a month's name decides), "ym" (months), "yw" (ISO weeks),
"yq" (quarters), "serial" (days since 1900, as spreadsheets count) and "epoch" (seconds since 1970).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache

FIRST_YEAR, LAST_YEAR = 1950, 2100
_LAST_SHORT_YEAR = 2040
_MONTHS = {
    1: "jan january januar jänner janv janvier ene enero gen gennaio januari sty styczen stycznia janeiro leden",
    2: "feb february februar feber fev fevr fevrier febrero febbraio februari lut luty lutego fevereiro",
    3: "mar march mär märz mrz maerz mars marzo maart mrt marzec marca marco brezen",
    4: "apr april avr avril abr abril aprile kwi kwiecien kwietnia",
    5: "may mai mayo mag maggio mei maj maja maio",
    6: "jun june juni juin junio giu giugno cze czerwiec czerwca junho",
    7: "jul july juli juil juillet julio lug luglio lip lipiec lipca julho",
    8: "aug august aout ago agosto augustus sie sierpien sierpnia",
    9: "sep sept september septembre septiembre set settembre wrz wrzesien wrzesnia setembro",
    10: "oct october okt oktober octobre octubre ott ottobre paz pazdziernik pazdziernika out outubro",
    11: "nov november novembre noviembre lis listopad listopada novembro",
    12: "dec december dez dezember decembre dic diciembre dicembre gru grudzien grudnia dezembro",
}
_WEEKDAYS = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun "
    "montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo di mi do fr sa so "
    "lundi mardi mercredi jeudi vendredi samedi dimanche lun mer jeu ven sam dim lunes martes miercoles jueves viernes "
    "sabado domingo maandag dinsdag woensdag donderdag vrijdag zaterdag zondag"
)
_WEEK = r"(?:iso)?(?:calendar ?)?(?:w|kw|cw|wk|wo|we|week|woche|s|sem|semaine|semana|settimana|tydz|tydzien|t)"


def plain(text: str) -> str:
    """Return a text in small letters without accents: `Février` becomes `fevrier`, `März` `marz`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss"))
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


_MONTH_OF = {plain(name): month for month, names in _MONTHS.items() for name in names.split()}
_NAME = "(" + "|".join(sorted(_MONTH_OF, key=len, reverse=True)) + ")"
_DAY_NAME = re.compile(rf"^(?:{'|'.join(sorted(_WEEKDAYS.split(), key=len, reverse=True))})\b[.,]?\s*")
_SPAN = re.compile(r"(\S*\d\.?) *(?: - |–|—| bis | to | au | al | a | t/m )(?:zum )? *(\S+)")
"""A period written from its first to its last day."""
Reading = dict[str, date]


def _year(text: str) -> int:
    if len(text) == 4:
        return int(text)
    short = 2000 + int(text)
    return short if short <= _LAST_SHORT_YEAR else short - 100


def _day(year: int, month: int, day: int) -> date | None:
    try:
        made = date(year, month, day)
    except ValueError:
        return None
    return made if FIRST_YEAR <= year <= LAST_YEAR else None


def _week(year: int, week: int, day: int = 1) -> date | None:
    try:
        return date.fromisocalendar(year, week, day) if FIRST_YEAR <= year <= LAST_YEAR else None
    except ValueError:
        return None


def _known(**found: date | None) -> Reading:
    return {name: value for name, value in found.items() if value is not None}


def _ymd(y: str, _: str, m: str, d: str) -> Reading:
    return _known(ymd=_day(int(y), int(m), int(d)))


def _eight(text: str) -> Reading:
    y, m, d = int(text[:4]), int(text[4:6]), int(text[6:])
    a, b, late = int(text[:2]), int(text[2:4]), int(text[4:])
    return _known(ymd=_day(y, m, d), dmy=_day(late, b, a), mdy=_day(late, a, b))


def _ordered(a: str, sign: str, b: str, y: str) -> Reading:
    found = _known(dmy=_day(_year(y), int(b), int(a)), mdy=_day(_year(y), int(a), int(b)))
    if len(y) == 2 and len(a) == 2 and sign != ".":
        first = _day(_year(a), int(b), int(y))
        if first is not None and first <= date.today() + timedelta(days=400):
            found["ymd"] = first
    return found


def _six(text: str) -> Reading:
    y, k = int(text[:4]), int(text[4:])
    if FIRST_YEAR <= y <= LAST_YEAR:
        return _known(ym=_day(y, k, 1) if k <= 12 else None, yw=_week(y, k))
    a, b, c = text[:2], text[2:4], text[4:]
    return _known(ymd=_day(_year(a), int(b), int(c)), dmy=_day(_year(c), int(b), int(a)))


def _part(year: str, part: str) -> Reading:
    number = int(part)
    return _known(ym=_day(_year(year), number, 1) if number <= 12 else None, yw=_week(_year(year), number))


def _serial(text: str) -> Reading:
    days = int(float(text))
    return {"serial": date(1899, 12, 30) + timedelta(days=days)} if 20_000 <= days <= 70_000 else {}


def _epoch(text: str) -> Reading:
    seconds = int(text) // (1000 if len(text) == 13 else 1)
    return _known(epoch=_day(1970, 1, 1) and date(1970, 1, 1) + timedelta(seconds=seconds))


def _quarter(year: str, quarter: str) -> Reading:
    return _known(yq=_day(_year(year), 3 * int(quarter) - 2, 1))


_SHAPES: tuple[tuple[re.Pattern[str], Callable[..., Reading]], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (r"(\d{4})([-/. ])(\d{1,2})\2(\d{1,2})\.?", _ymd),
        (r"(\d{1,2})([-/. ]) ?(\d{1,2})\2 ?(\d{4}|\d{2})\.?", _ordered),
        (r"(\d{8})", _eight),
        (r"(\d{6})", _six),
        (rf"(\d{{4}})[-_ /.]?{_WEEK}[ ._-]*(\d{{1,2}})", lambda y, w: _known(yw=_week(int(y), int(w)))),
        (
            rf"(\d{{4}})[-_ /.]?{_WEEK}[ ._-]*(\d{{2}})[-.](\d)",
            lambda y, w, d: _known(yw=_week(int(y), int(w), int(d))),
        ),
        (
            rf"{_WEEK}[ ._-]*(\d{{1,2}})[ ,._/-]*(\d{{4}}|\d{{2}})",
            lambda w, y: _known(yw=_week(_year(y), int(w))),
        ),
        (rf"(\d{{1,2}})\.? ?{_WEEK}[ ,._/-]*(\d{{4}})", lambda w, y: _known(yw=_week(_year(y), int(w)))),
        (r"(\d{4})[-/. ](\d{1,2})", _part),
        (r"(\d{1,2})[-/. ](\d{4})", lambda part, y: _part(y, part)),
        (r"(\d{4})[ -]?m(\d{1,2})", lambda y, m: _known(ym=_day(int(y), int(m), 1))),
        (r"m(\d{1,2})[ .-]*(\d{4})", lambda m, y: _known(ym=_day(int(y), int(m), 1))),
        (rf"{_NAME}[ .,'/_-]*(\d{{4}}|\d{{2}})", lambda n, y: _known(ym=_day(_year(y), _MONTH_OF[n], 1))),
        (rf"(\d{{4}})[ .,/_-]*{_NAME}\.?", lambda y, n: _known(ym=_day(int(y), _MONTH_OF[n], 1))),
        (
            rf"(\d{{1,2}})(?:st|nd|rd|th|er)?[ .,/_-]*(?:de |of )?{_NAME}[ .,/_-]*(?:de |del )?(\d{{4}}|\d{{2}})",
            lambda d, n, y: _known(named=_day(_year(y), _MONTH_OF[n], int(d))),
        ),
        (
            rf"{_NAME}[ .]*(\d{{1,2}})(?:st|nd|rd|th)?,? +(\d{{4}})",
            lambda n, d, y: _known(named=_day(int(y), _MONTH_OF[n], int(d))),
        ),
        (r"(\d{4})[ -/]?q([1-4])", _quarter),
        (r"q([1-4])[ ./-]*(\d{4}|\d{2})", lambda q, y: _quarter(y, q)),
        (r"(\d{5}(?:\.\d+)?)", _serial),
        (r"(\d{10}|\d{13})", _epoch),
    )
)


@lru_cache(maxsize=200_000)
def _readings(text: str) -> tuple[tuple[str, date], ...]:
    text = plain(" ".join(text.split()))
    text = _DAY_NAME.sub("", text) if text[:1].isalpha() else text
    if not text or (not text[-1:].isalnum() and text[-1:] != ".") or not any(sign.isdigit() for sign in text):
        return ()
    span = _SPAN.fullmatch(text)
    if span and _readings(span[1]) and _readings(span[2]):
        return _readings(span[1])
    found: Reading = {}
    for pattern, reader in _SHAPES:
        match = pattern.fullmatch(text)
        if match:
            found = {**reader(*match.groups()), **found}
    return tuple(found.items())


def readings(text: str) -> Reading:
    """Return every day that a text can mean, by reading; none where it is no date.

    Args:
        text: without a time of day.

    >>> sorted(readings("01/02/2024"))
    ['dmy', 'mdy']
    >>> readings("13.02.2024"), readings("KW 05/2022"), readings("Okt 2022")  # doctest: +NORMALIZE_WHITESPACE
    ({'dmy': datetime.date(2024, 2, 13)}, {'yw': datetime.date(2022, 1, 31)}, {'ym': datetime.date(2022, 10, 1)})
    """
    return dict(_readings(text))
