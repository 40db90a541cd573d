"""DICOM's values and our numbers as a reader wants them. Used as filters by every template."""

from __future__ import annotations

import re
from datetime import datetime

_SEXES = {"M": "male", "F": "female", "O": "other"}
_UNITS = {"D": "days", "W": "weeks", "M": "months", "Y": "years"}


def date(value: str) -> str:
    """A DICOM DA (PS3.5 6.2) as 2026-11-23; what is no date is shown as it stands."""
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", value.strip())
    return "-".join(match.groups()) if match else value


def time(value: str) -> str:
    """A DICOM TM (PS3.5 6.2) as 23:59; what is no time is shown as it stands."""
    match = re.match(r"(\d{2}):?(\d{2})", value.strip())
    return ":".join(match.groups()) if match else value


def moment(value: str) -> str:
    """An ISO 8601 moment to the minute, with its offset; anything else as it stands."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return value
    offset = parsed.strftime("%z")
    shown = f" {offset[:3]}:{offset[3:5]}" if offset else ""
    return f"{parsed:%Y-%m-%d %H:%M}{shown}"


def sex(value: str) -> str:
    """DICOM PatientSex in words."""
    return _SEXES.get(value.strip().upper(), value)


def age(value: str) -> str:
    """A DICOM AS (PS3.5 6.2), ``061Y``, as "61 years"."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", value.strip().upper())
    if not match:
        return value
    count = int(match.group(1))
    unit = _UNITS[match.group(2)]
    return f"{count} {unit.removesuffix('s') if count == 1 else unit}"


def person(value: str) -> str:
    """A DICOM PN (PS3.5 6.2.1.1): "Yamada, Tarou (山田 太郎)" of ``Yamada^Tarou=山田^太郎``."""
    groups = [_name_group(group, index) for index, group in enumerate(value.split("="))]
    first, *others = [group for group in groups if group] or [""]
    return f"{first} ({', '.join(others)})" if others else first


def _name_group(group: str, index: int) -> str:
    family, *rest = (component.strip() for component in group.split("^"))
    given = " ".join(component for component in rest if component)
    # Only the alphabetic group takes a comma; ideographic and phonetic names are written without.
    separator = ", " if index == 0 else " "
    return separator.join(part for part in (family, given) if part)


def finding(name: str) -> str:
    """``Pleural_Thickening`` as "Pleural thickening"; abbreviations keep their capitals."""
    words = name.replace("_", " ").split()
    return " ".join([*words[:1], *(w.lower() if w.istitle() else w for w in words[1:])])


def probability(value: float) -> str:
    """Three decimals; never 0.000 or 1.000 for a value that is neither."""
    if 0.0 < value < 0.0005:
        return "<0.001"
    if 0.9995 <= value < 1.0:
        return ">0.999"
    return f"{value:.3f}"


def words(code: str) -> str:
    """A reason code or a key of run.json as words."""
    return code.replace("_", " ")


def file_name(path: str) -> str:
    """The last part of a path."""
    return path.rstrip("/").rpartition("/")[2] or path
