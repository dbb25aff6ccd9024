"""Days and moments: what people write, what a catalog stores, and the clocks of a zone in between. Pure."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

from catalogsync.celltext import CellError, quoted
from catalogsync.model import Column

_DATE_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\d{4}-\d{1,2}-\d{1,2}"), "%Y-%m-%d"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), "%Y/%m/%d"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
)
_TIME_SHAPES = {5: "%H:%M", 8: "%H:%M:%S"}


def _moment(text: str, column: Column) -> datetime:
    """A date or a date with a time, naive unless the text carries an offset."""
    text = text.strip()
    for layout in column.formats:
        try:
            return datetime.strptime(text, layout)  # noqa: DTZ007 - the zone is the account's, applied later
        except ValueError:
            continue
    day, _, clock = text.replace("T", " ", 1).partition(" ")
    shapes = _DATE_SHAPES[:1] if column.formats else _DATE_SHAPES  # date cells of a workbook come as ISO text
    for shape, layout in shapes:
        if shape.fullmatch(day):
            return _read_clock(day, clock.strip(), layout, text)
    hint = (
        'set `format:`, for example `format: "%d/%m/%Y"`'
        if not column.formats
        else f"expected {' or '.join(column.formats)}"
    )
    raise CellError(f"{quoted(text)} is not a date that can be read without guessing", hint)


def _read_clock(day: str, clock: str, layout: str, text: str) -> datetime:
    offset = re.search(r"(?:Z|[+-]\d\d:?\d\d(?::\d\d)?)$", clock)
    bare = clock[: offset.start()].rstrip() if offset else clock
    bare = re.sub(r"(?<=\d\d:\d\d:\d\d)\.\d{1,9}$", "", bare)  # databases write fractions, the field holds seconds
    try:
        if not clock:
            return datetime.strptime(day, layout)  # noqa: DTZ007 - as above
        stamp = f"{day} {bare}"
        layout = f"{layout} {_TIME_SHAPES[len(bare)]}"
        if offset:
            return datetime.strptime(stamp + offset[0], f"{layout}%z")
        return datetime.strptime(stamp, layout)  # noqa: DTZ007 - as above
    except (ValueError, KeyError):
        raise CellError(f"{quoted(text)} is not a date") from None


def parse_date(text: str, column: Column) -> str:
    """A day. A time of day other than midnight is refused: it would be dropped."""
    moment = _moment(text, column)
    if (moment.hour, moment.minute, moment.second) != (0, 0, 0):
        raise CellError(f"{quoted(text)} has a time of day, the field holds a date only")
    return moment.date().isoformat()


def parse_date_time(text: str, column: Column) -> str:
    """A moment in the account's time zone. Local times that clocks skip or repeat are refused."""
    moment = _moment(text, column)
    zone = ZoneInfo(column.timezone)
    if moment.tzinfo is None:
        if _is_skipped_or_repeated(moment, zone):
            what = f"{quoted(text)} falls into the hour that clocks skip or repeat in {column.timezone}"
            raise CellError(what, "write the offset too, as in 2024-10-27 03:30:00+03:00")
        moment = moment.replace(tzinfo=zone)
    unix_s = math.floor(moment.timestamp())
    if local_moment(unix_s, zone) is None:
        raise CellError(f"{quoted(text)} is outside the years 1 to 9999 in {column.timezone}")
    return str(unix_s)


def is_on_a_calendar(type_: str, canonical: str) -> bool:
    """Whether a field's canonical text can be written as a day or a moment; of other types, and of no text, it can."""
    if type_ in {"date", "birthday"}:
        return not canonical or as_date(canonical) is not None
    if type_ == "date_time" and canonical:
        is_number = re.fullmatch("-?[0-9]{1,15}", canonical)
        return bool(is_number) and local_moment(int(canonical), ZoneInfo("UTC")) is not None
    return True


def is_second_time(canonical: str, timezone: str) -> bool:
    """Whether a moment is in the second of an hour that the clocks of a zone repeat: local time means the first."""
    local = (
        local_moment(int(canonical), ZoneInfo(timezone or "UTC")) if re.fullmatch("-?[0-9]{1,15}", canonical) else None
    )
    return local is not None and local.fold == 1


def _is_skipped_or_repeated(naive: datetime, zone: ZoneInfo) -> bool:
    first, second = (naive.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return first != second


def local_moment(unix_s: int, zone: ZoneInfo) -> datetime | None:
    """A moment on the clocks of a zone; None outside the years that a calendar holds."""
    try:
        return datetime.fromtimestamp(unix_s, zone)
    except (ValueError, OverflowError, OSError):
        return None


def show_date_time(unix_s: int, zone: ZoneInfo) -> str:
    """Local time; with its offset where clocks show the same time twice."""
    local = local_moment(unix_s, zone)
    if local is None:
        return str(unix_s)
    naive = local.replace(tzinfo=None, fold=0)
    return (local if _is_skipped_or_repeated(naive, zone) else naive).isoformat(" ", "seconds")


def as_date(canonical: str) -> date | None:
    """The day that canonical text of a date holds; None where it holds something else."""
    try:
        return date.fromisoformat(canonical)
    except ValueError:
        return None
