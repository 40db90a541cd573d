"""Looking for planted words in everything that a file can be read as."""

from __future__ import annotations

import base64
import gzip
import html
import io
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image
from pypdf import PdfReader

Search = Callable[[Path, Iterable[bytes]], set[tuple[str, str]]]


@pytest.fixture(scope="session")
def found_in() -> Search:
    """(planted, path below the folder) wherever a name or a content holds a planted word, in any case."""
    return _found_in


def _found_in(folder: Path, planted: Iterable[bytes]) -> set[tuple[str, str]]:
    words = [word.lower() for word in planted]
    hits: set[tuple[str, str]] = set()
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        views = [name.encode("utf-8", "surrogateescape")]
        if path.is_file():
            views.extend(_views(path))
        hits.update(
            (word.decode("latin-1"), name) for view in views for word in words if word in view.lower()
        )
    return hits


def _views(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    yield from _decoded(data)
    if data.startswith(b"%PDF"):
        yield _pdf(data)
    if data.startswith(b"SQLite format 3\0"):
        yield _rows(path)
    if data.startswith((b"\xff\xd8", b"\x89PNG")):
        with Image.open(io.BytesIO(data)) as picture:
            yield repr((picture.info, dict(picture.getexif()))).encode()


def _decoded(data: bytes) -> Iterator[bytes]:
    """The content of every compressed stream in a file, and its text under the usual encodings."""
    for match in re.finditer(rb"stream\r?\n", data):
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(data[match.end() :])
    for match in re.finditer(rb"\x1f\x8b\x08", data):
        with suppress(OSError, EOFError, zlib.error):
            yield gzip.decompress(data[match.start() :])
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield from (archive.read(name) for name in archive.namelist())
    for match in re.finditer(rb"[A-Za-z0-9+/]{24,}={0,2}", data):
        with suppress(ValueError):
            yield base64.b64decode(match[0] + b"==")
    for encoding in ("utf-16-le", "utf-16-be"):
        for start in (0, 1):
            yield data[start:].decode(encoding, "ignore").encode("utf-8", "ignore")
    text = data.decode("utf-8", "replace")
    yield html.unescape(text).encode("utf-8", "replace")
    yield unquote(text).encode("utf-8", "replace")
    escaped = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)  # as JSON has it
    yield escaped.encode("utf-8", "replace")


def _pdf(data: bytes) -> bytes:
    """Text, metadata, outline, annotations and XMP of a PDF."""
    reader = PdfReader(io.BytesIO(data))
    parts = [repr(reader.metadata), repr(reader.outline), repr(reader.attachments)]
    if reader.xmp_metadata is not None:
        parts.append(reader.xmp_metadata.stream.get_data().decode("utf-8", "replace"))
    for page in reader.pages:
        parts += [page.extract_text(), repr(page.get("/Annots"))]
    # A word broken over two lines is still there to be read.
    text = "\n".join(parts)
    return (text + "\0" + re.sub(r"\s+", "", text)).encode("utf-8", "replace")


def _rows(path: Path) -> bytes:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f'SELECT * FROM "{table}"')]
    return repr(rows).encode("utf-8", "surrogateescape")
