"""Downloads against a real server on loopback, which answers as servers and proxies do on bad days."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cxrbatch.bundles import download as downloading
from cxrbatch.bundles.download import download
from cxrbatch.bundles.errors import DownloadError

CONTENT = bytes(range(256)) * 4096  # a megabyte
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """`answer` is given each request; `asked` are the request lines and ranges that came."""

    url: str = ""
    answer: Answer | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)


def _serve(told: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append((self.path, self.headers.get("Range")))
            (told.answer or whole)(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield told
        server.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from _serve(Server())


@pytest.fixture(autouse=True)
def _no_proxy_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(downloading, "_PAUSE_SECONDS", 0.0)


def send(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: int | None = None, **headers: str
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT)


def ranged(handler: BaseHTTPRequestHandler, body: bytes = CONTENT, at_most: int | None = None) -> None:
    """As a server that resumes; after `at_most` bytes it hangs up."""
    match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    start = int(match[1]) if match else 0
    if start >= len(body):
        send(handler, b"", 416)
        return
    part = body[start:]
    headers = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if match else {}
    send(handler, part[:at_most], 206 if match else 200, length=len(part), **headers)
    if at_most is not None:
        handler.close_connection = True


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "weights.pt"


def _refused(server: Server, target: Path, words: str, sha256: str = SHA256) -> str:
    with pytest.raises(DownloadError, match=words) as caught:
        download(f"{server.url}/w", target, sha256)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert not target.exists()
    return message


def _part(target: Path) -> Path:
    return target.with_name("weights.pt.part")


def test_a_file_is_there_whole_with_progress_in_bytes(server: Server, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    download(f"{server.url}/w", target, SHA256, lambda done, total: seen.append((done, total)))

    assert target.read_bytes() == CONTENT
    assert not _part(target).exists()
    assert (seen[0], seen[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_server_that_does_not_say_the_length_is_believed_by_the_hash(server: Server, target: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.answer = answer
    download(f"{server.url}/w", target, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_connection_that_drops_is_resumed_at_once(server: Server, target: Path) -> None:
    server.answer = lambda handler: ranged(handler, at_most=400_000)

    download(f"{server.url}/w", target, SHA256)

    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=400000-", "bytes=800000-"]


def test_a_download_that_was_cut_off_for_good_is_resumed_by_the_next_command(
    server: Server, target: Path
) -> None:
    dropped = iter([300_000, 0, 0, 0, 0])
    server.answer = lambda handler: ranged(handler, at_most=next(dropped))
    message = _refused(server, target, "cut off after 300,000 bytes .*start the same command again")
    assert "748,576 bytes are missing" in message

    server.asked.clear()
    server.answer = ranged
    download(f"{server.url}/w", target, SHA256)

    assert target.read_bytes() == CONTENT
    assert server.asked == [("/w", "bytes=300000-")]


def test_a_server_that_cannot_resume_is_read_from_the_start(server: Server, target: Path) -> None:
    target.parent.mkdir()
    _part(target).write_bytes(CONTENT[:1000])

    download(f"{server.url}/w", target, SHA256)  # whole: 200 in spite of the Range

    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("leftover", [b"of another version", CONTENT + b"more"])
def test_leftovers_of_another_file_are_fetched_anew(server: Server, target: Path, leftover: bytes) -> None:
    target.parent.mkdir()
    _part(target).write_bytes(leftover)
    server.answer = ranged

    download(f"{server.url}/w", target, SHA256)

    assert target.read_bytes() == CONTENT


def test_a_part_that_was_whole_when_the_command_was_killed_needs_no_server(target: Path) -> None:
    target.parent.mkdir()
    _part(target).write_bytes(CONTENT)

    download("http://127.0.0.1:9/never-asked", target, SHA256)

    assert target.read_bytes() == CONTENT


def test_another_file_than_expected_is_removed_and_both_hashes_are_named(
    server: Server, target: Path
) -> None:
    message = _refused(server, target, "not the expected file", sha256="a" * 64)

    assert "a" * 64 in message
    assert SHA256 in message
    assert len(server.asked) == 1
    assert _part(target).stat().st_size == 0


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "answered 404 .*not there any more.*--from FILE"),
        (403, "answered 403 .*proxy forbids it.*--from FILE"),
        (407, "proxy asks for a name and a password.*https_proxy"),
        (429, "answered 429 .*try again later"),
        (503, "answered 503 .*try again later"),
        (418, "answered 418 .*project's page"),
    ],
)
def test_a_refusal_is_one_sentence(server: Server, target: Path, status: int, words: str) -> None:
    server.answer = lambda handler: send(handler, b"no", status)
    _refused(server, target, words)


def test_a_web_page_in_place_of_the_file_is_called_one(server: Server, target: Path) -> None:
    server.answer = lambda handler: send(handler, b"<html>log in", Content_Type="text/html; charset=utf-8")
    _refused(server, target, "sent a web page")
    assert _part(target).stat().st_size == 0


def _redirect(to: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/w":
            send(handler, b"", 302, Location=to)
        else:
            whole(handler)

    return answer


def test_redirects_are_followed(server: Server, target: Path) -> None:
    server.answer = _redirect(f"{server.url}/storage/w")

    download(f"{server.url}/w", target, SHA256)

    assert target.read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/w", "/storage/w"]


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/w", "/w"])
def test_redirects_elsewhere_and_in_circles_are_refused(server: Server, target: Path, to: str) -> None:
    server.answer = _redirect(to)
    _refused(server, target, "127.0.0.1 redirects (in a circle|to ftp)")


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    import urllib.request

    with pytest.raises(DownloadError, match=r"a\.example redirects to http, which is not encrypted"):
        downloading._Redirects().redirect_request(
            urllib.request.Request("https://a.example/w"), None, 302, "", {}, "http://b.example/w"
        )


def test_nobody_at_home_is_one_sentence(target: Path) -> None:
    _refused(Server("http://127.0.0.1:9"), target, r"cannot be reached \(Connection refused\).*https_proxy")


def test_a_name_that_nobody_knows_is_one_sentence(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    _refused(
        Server("https://weights.example"), target, r"weights.example cannot be reached \(Name or service"
    )


def test_a_server_that_falls_silent_is_given_up(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT_SECONDS", 0.2)
    done = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.flush()
        done.wait(20)

    server.answer = answer
    _refused(server, target, "cut off after 0 bytes .no answer within")
    done.set()


def test_an_untrusted_certificate_says_what_a_hospital_does_about_it(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "self-signed certificate in certificate chain"
        raise error

    monkeypatch.setattr("http.client.HTTPSConnection.connect", refuse)
    _refused(Server("https://weights.example"), target, "self-signed certificate in .*SSL_CERT_FILE")


def test_downloads_go_through_the_proxy_of_the_environment(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)  # the server answers as a proxy would: to a whole URL

    download("http://weights.example/w", target, SHA256)

    assert target.read_bytes() == CONTENT
    assert server.asked == [("http://weights.example/w", None)]


def test_encrypted_downloads_ask_the_proxy_for_a_tunnel(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = server.url.replace("//", "//name:secret@")
    monkeypatch.setenv("https_proxy", proxy)  # which knows no CONNECT, and says 501

    message = _refused(Server("https://weights.example"), target, "reached through the proxy 127.0.0.1:.*501")

    assert "secret" not in message


def test_no_proxy_is_honoured(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    download(f"{server.url}/w", target, SHA256)

    assert target.read_bytes() == CONTENT


def test_a_disk_without_room_is_found_before_the_first_byte(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    _refused(server, target, "make room")
    assert _part(target).stat().st_size == 0


def test_a_disk_that_fills_up_is_one_sentence_and_the_download_goes_on_later(
    server: Server, target: Path
) -> None:
    import os
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:  # the kernel lets no file of this process grow beyond half the content: EFBIG, as a quota would
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, before[1]))
        _refused(server, target, "cannot be written: File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    full = OSError(28, os.strerror(28))
    assert "no space left" in downloading._not_written(full, target)

    server.answer = ranged
    download(f"{server.url}/w", target, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _refused(server, tmp_path / "file" / "weights.pt", "cannot be written: ")


def test_two_downloads_of_one_file_do_not_mix(server: Server, target: Path) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        waiting.set()
        go_on.wait(20)
        whole(handler)

    server.answer = slow
    first = threading.Thread(target=download, args=(f"{server.url}/w", target, SHA256))
    first.start()
    assert waiting.wait(20)
    with pytest.raises(DownloadError, match="Another command is fetching"):
        download(f"{server.url}/w", target, SHA256)
    go_on.set()
    first.join(20)
    assert target.read_bytes() == CONTENT


def test_an_endless_answer_is_stopped(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "MAX_BYTES", 500_000)
    _refused(server, target, "no weights are that large")


def test_no_other_module_of_cxrbatch_speaks_to_a_network() -> None:
    import cxrbatch

    package = Path(cxrbatch.__file__).parent
    clients = re.compile(
        r"^\s*(import|from) (urllib\.request|http\.client|ftplib|smtplib|requests|httpx|urllib3)\b", re.M
    )
    found = {
        str(path.relative_to(package)) for path in package.rglob("*.py") if clients.search(path.read_text())
    }
    assert found == {"bundles/download.py"}
