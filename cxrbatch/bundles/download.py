"""Fetch one file over HTTPS: resumed where it stopped, whole and of the right hash, or not there at all.

The standard library's ``urllib`` takes proxies from ``https_proxy``, ``http_proxy`` and ``no_proxy``, and
certificates from the system or ``SSL_CERT_FILE``. This is the only module of cxrbatch that uses a network.
"""

from __future__ import annotations

import errno
import fcntl
import http.client
import os
import re
import shutil
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from cxrbatch import __version__
from cxrbatch.bundles.digests import file_digest
from cxrbatch.bundles.errors import DownloadError

TIMEOUT_SECONDS = 30.0
"""For connecting, and for each wait for the next bytes."""

MAX_BYTES = 2 << 30
_ATTEMPTS = 4
_PAUSE_SECONDS = 1.0
_BLOCK = 1 << 18

OnBytes = Callable[[int, int | None], None]
"""Told how many bytes are there, and how many there will be (None: the server does not say)."""

_ELSEWHERE = "look on the project's page, or fetch the file by other means and give it with --from FILE"
_BY_HAND = "or fetch the file by other means and give it with --from FILE"


def download(url: str, target: Path, sha256: str, on_bytes: OnBytes = lambda *_: None) -> None:
    """Fetch `url` to `target`, through ``target.part``, which a later call goes on with.

    Args:
        url: of http or https; redirects are followed, but never from https to anything else.
        target: appears under this name only when its SHA-256 is right.
        sha256: in hexadecimal.
        on_bytes: for a progress bar.

    Raises:
        DownloadError: one sentence with the cause and what to do.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part):
            if not (part.stat().st_size and file_digest(part) == sha256):
                _fetch_whole(url, part, sha256, on_bytes)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(target)
    except OSError as error:
        raise DownloadError(_not_written(error, part)) from error


def _fetch_whole(url: str, part: Path, sha256: str, on_bytes: OnBytes) -> None:
    """Fetch, going on after interruptions; what was resumed and came out wrong is fetched once more."""
    for fresh in (False, True):
        resumed = part.stat().st_size > 0
        _fetch_with_patience(url, part, on_bytes)
        found = file_digest(part)
        if found == sha256:
            return
        size = part.stat().st_size
        os.truncate(part, 0)
        if fresh or not resumed:
            break
    raise DownloadError(
        f"What {_host(url)} sent ({size:,} bytes) is not the expected file: SHA-256 expected {sha256}, found "
        f"{found}. It was removed; find out why before you use it under another hash."
    )


def _fetch_with_patience(url: str, part: Path, on_bytes: OnBytes) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        before = part.stat().st_size
        try:
            _fetch(url, part, on_bytes)
            return
        except _CutOffError as error:
            # A server that gives nothing at all, twice, will not give more at the third time.
            if attempt == _ATTEMPTS or (attempt > 1 and part.stat().st_size <= before):
                raise DownloadError(
                    f"The download from {_host(url)} was cut off after {part.stat().st_size:,} bytes "
                    f"({error}): start the same command again, it goes on from there."
                ) from error
            time.sleep(_PAUSE_SECONDS)


class _CutOffError(Exception):
    """The connection ended before the file did."""


def _fetch(url: str, part: Path, on_bytes: OnBytes) -> None:
    """One request, for the bytes that `part` does not have yet; raises _CutOffError if some are missing."""
    have = part.stat().st_size
    headers = {"User-Agent": f"cxrbatch/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _opened(urllib.request.Request(url, headers=headers), part) as response:
        if response is None:  # the server has no more than `part` holds, and its hash is wrong
            return
        start = have if response.status == 206 and _starts_at(response) == have else 0
        total = _length(response, start)
        _require_sensible(url, response, total, part, start)
        with part.open("r+b") as file:
            file.truncate(start)
            file.seek(start)
            done = start
            on_bytes(done, total)
            for block in _blocks(response):
                file.write(block)
                done += len(block)
                if done > MAX_BYTES:
                    raise DownloadError(
                        f"{_host(url)} sends more than {MAX_BYTES >> 30} GiB: no weights are that large."
                    )
                on_bytes(done, total)
    if total is not None and done < total:
        raise _CutOffError(f"{total - done:,} bytes are missing")


def _blocks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            block = response.read(_BLOCK)
        except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            raise _CutOffError(_cause(error)) from error
        if not block:
            return
        yield block


@contextmanager
def _opened(request: urllib.request.Request, part: Path) -> Iterator[Any]:
    """The answer to a request; None where the server says that there is nothing beyond `part`."""
    url = request.full_url
    try:
        response = _opener().open(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        with error:
            if error.code == 416 and part.stat().st_size:
                yield None
                return
            raise DownloadError(_refused(url, error)) from error
    except (URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise DownloadError(_unreached(url, error)) from error
    with response:
        yield response


def _opener() -> urllib.request.OpenerDirector:
    """urllib's, less what opens anything but http and https. Proxies are read from the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from an encrypted connection to an open one."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after != "https" and not before == after == "http":
            raise DownloadError(
                f"{_host(req.full_url)} redirects to {after}, which is not encrypted: {_ELSEWHERE}."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _starts_at(response: Any) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _length(response: Any, start: int) -> int | None:
    text = response.headers.get("Content-Length", "")
    return start + int(text) if text.isdigit() else None


def _require_sensible(url: str, response: Any, total: int | None, part: Path, start: int) -> None:
    """Before a byte is written: is it a file, and does it fit?"""
    if response.headers.get_content_type() == "text/html":
        raise DownloadError(
            f"{_host(url)} sent a web page instead of the file: it asks for a login or a click, or the file "
            f"has moved. Open the project's page in a browser, {_BY_HAND}."
        )
    if total is None:
        return
    if total > MAX_BYTES:
        raise DownloadError(f"{_host(url)} offers {total:,} bytes: no weights are that large.")
    free = shutil.disk_usage(part.parent).free
    if total - start > free:
        raise DownloadError(
            f"{part.parent} has {free / 1e6:,.0f} MB left, and {(total - start) / 1e6:,.0f} MB are to come: "
            "make room, then start the same command again."
        )


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Hold `part`, made if need be, against a second download of the same file."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(f"Another command is fetching {part}: wait until it is through.") from error
        yield


def _refused(url: str, error: HTTPError) -> str:
    if 300 <= error.code < 400:  # urllib's own words for it run over several lines
        return f"{_host(url)} redirects in a circle, or to what is no website: {_ELSEWHERE}."
    told = f"{_host(url)} answered {error.code} {_cause(error.reason)}".rstrip()
    if error.code == 407:
        return (
            "The proxy asks for a name and a password: put them into https_proxy "
            f"(http://NAME:PASSWORD@PROXY), {_BY_HAND}."
        )
    if error.code in (404, 410):
        return f"{told}: the file is not there any more. Look on the project's page, {_BY_HAND}."
    if error.code in (401, 403):
        return f"{told}: it gives no files to programs, or a proxy forbids it; have it allowed, {_BY_HAND}."
    if error.code == 429 or error.code >= 500:
        return f"{told}: try again later, {_BY_HAND}."
    return f"{told}: {_ELSEWHERE}."


def _unreached(url: str, error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {_host(url)} is not trusted here ({reason.verify_message}): behind a proxy "
            f"that opens encrypted connections, name its certificate in SSL_CERT_FILE, {_BY_HAND}."
        )
    if proxy := _proxy_for(url):
        return (
            f"{_host(url)} cannot be reached through the proxy {proxy} ({_cause(reason)}): look at "
            f"https_proxy and no_proxy, {_BY_HAND}."
        )
    return (
        f"{_host(url)} cannot be reached ({_cause(reason)}): on a machine that needs a proxy set "
        f"https_proxy, {_BY_HAND}."
    )


def _proxy_for(url: str) -> str:
    """Host and port of the proxy that the environment names for `url`, less its password; blank for none."""
    parts = urlsplit(url)
    named = urllib.request.getproxies().get(parts.scheme, "")
    if not named or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return urlsplit(named if "//" in named else f"//{named}").netloc.rpartition("@")[2]


def _cause(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {TIMEOUT_SECONDS:.0f} seconds"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return " ".join(str(reason).split())[:160] or type(reason).__name__


def _not_written(error: OSError, part: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"There is no space left for {part}: make room, then start the same command again; it goes on."
    return f"{part} cannot be written: {error.strerror or error}."


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the server"
