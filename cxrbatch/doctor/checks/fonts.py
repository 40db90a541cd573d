"""Fonts for the scripts that names are written in, as Fontconfig, which WeasyPrint asks, knows them."""

from __future__ import annotations

import ctypes

from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem, warning

LIBRARY = "libfontconfig.so.1"
SCRIPTS = {
    "Latin": ("en", "pl", "tr"),
    "Greek": ("el",),
    "Cyrillic": ("ru", "uk"),
    "Chinese": ("zh-cn", "zh-tw"),
    "Japanese": ("ja",),
    "Korean": ("ko",),
}
ADVICE = "On Debian or Ubuntu: apt-get install fonts-dejavu-core fonts-noto-cjk."


class _FontSet(ctypes.Structure):
    """FcFontSet of <fontconfig/fontconfig.h>, as far as it is read here."""

    _fields_ = (("nfont", ctypes.c_int), ("sfont", ctypes.c_int))


def check(subject: Subject) -> Outcome:
    """At least one font covers each script."""
    try:
        fontconfig = ctypes.CDLL(LIBRARY)
    except OSError:
        return problem(
            f"{LIBRARY} is missing", "On Debian or Ubuntu: apt-get install libpangoft2-1.0-0 fontconfig."
        )
    missing = [
        name for name, languages in SCRIPTS.items() if not all(_fonts(fontconfig, x) for x in languages)
    ]
    if "Latin" in missing:
        return problem(f"no font for {', '.join(missing)}: reports would be empty boxes", ADVICE)
    if missing:
        return warning(f"no font for {', '.join(missing)}: such names print as empty boxes", ADVICE)
    return ok(", ".join(SCRIPTS))


def _fonts(fontconfig: ctypes.CDLL, language: str) -> int:
    """Number of fonts that cover `language` (RFC 3066, as Fontconfig writes it: zh-cn)."""
    fontconfig.FcNameParse.restype = ctypes.c_void_p
    fontconfig.FcObjectSetCreate.restype = ctypes.c_void_p
    fontconfig.FcFontList.restype = ctypes.POINTER(_FontSet)
    fontconfig.FcFontList.argtypes = [ctypes.c_void_p] * 3
    pattern = fontconfig.FcNameParse(f":lang={language}".encode())
    found = fontconfig.FcFontList(None, pattern, fontconfig.FcObjectSetCreate())
    return found.contents.nfont if found else 0
