"""``model pull`` from a server on loopback and from files in hand; and the registry that is shipped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cxrbatch.bundles import presets, public_weights, pulling
from cxrbatch.bundles.architectures import build_architecture
from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.presets import PRESETS, Preset
from cxrbatch.bundles.public_weights import PublicWeights, registry
from cxrbatch.cli.model import app
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

SMALL = Preset(
    description="a small network",
    architecture="efficientnet-lite0",
    input=InputSpec(height=64, width=64, channels=3, scaling=Scaling.UNIT),
    findings=("Effusion", "Mass"),
)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXRBATCH_MODELS", raising=False)
    monkeypatch.setitem(presets.PRESETS, "small", SMALL)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network's weights, in the legacy format that public files have."""
    path = tmp_path_factory.mktemp("weights") / "published.h5"
    _write_legacy(build_architecture(SMALL.architecture, SMALL.input, 2), path)
    return path


def _write_legacy(model: keras.Model, path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([layer.name.encode() for layer in model.layers], dtype="S")
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = np.array([n.encode() for n in names], dtype="S")
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=value)


class Server:
    """Gives `content` to whoever asks, or `status`; counts the requests."""

    def __init__(self, content: bytes) -> None:
        self.content, self.status, self.requests = content, 200, 0
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.requests += 1
                body = told.content if told.status == 200 else b""
                self.send_response(told.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/weights.h5"


@pytest.fixture
def server(weights: Path) -> Iterator[Server]:
    server = Server(weights.read_bytes())
    yield server
    server.http.shutdown()
    server.http.server_close()


def _entry(server: Server, monkeypatch: pytest.MonkeyPatch, **changes: object) -> PublicWeights:
    """Make ``small`` a public network on the server. A URL of http is what no registry file may have."""
    entry = PublicWeights(
        title="Small", preset="small", project="https://example.org/small", published_as="keras weights",
        megabytes=14, licence="MIT", citation="A paper",
    ).model_copy(update={"url": server.url, **changes})  # fmt: skip
    monkeypatch.setattr(pulling, "entry_named", {"small": entry}.__getitem__)
    return entry


def _pull(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["pull", *map(str, arguments)])


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _one_line(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert len(result.stderr.splitlines()) == 1
    assert all(word in result.stderr for word in words), result.stderr


def test_weights_are_pulled_by_name(
    server: Server, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _entry(server, monkeypatch)

    result = _pull("small", "--sha256", _digest(weights).upper())

    assert result.exit_code == 0, result.stderr
    assert "Licence: MIT" in result.stderr
    assert "placeholders" in result.stderr
    card = json.loads(CliRunner().invoke(app, ["show", "small"]).stdout)["card"]
    assert card["licence"] == "MIT. Source: https://example.org/small. A paper."
    assert _digest(weights) in card["training_data"]["description"]
    assert "given by this site" in card["training_data"]["description"]
    assert not (tmp_path / "data/cxrbatch/downloads/small").exists()


def test_an_unverified_hash_is_asked_for_before_anything_is_fetched(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _entry(server, monkeypatch)

    _one_line(_pull("small"), 2, "UNVERIFIED", "--sha256", "https://example.org/small")

    assert server.requests == 0


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What would be added: making a bundle takes seconds, and is tested once above."""
    calls: list[dict[str, object]] = []

    def record(weights: Path, name: str, **more: object) -> Bundle:
        calls.append({"sha256": _digest(weights), "name": name, **more})
        return open_bundle("cxr-lite")

    monkeypatch.setattr(pulling, "add_bundle", record)
    return calls


def test_a_pinned_hash_is_enough_and_no_other_is_taken(
    server: Server, weights: Path, monkeypatch: pytest.MonkeyPatch, added: list[dict[str, object]]
) -> None:
    pinned = {"sha256": _digest(weights), "size": weights.stat().st_size, "verified": "a test, today"}
    _entry(server, monkeypatch, **pinned)
    _one_line(_pull("small", "--sha256", "a" * 64), 2, "is pinned to", _digest(weights))
    assert server.requests == 0

    assert _pull("small", "--name", "mine").exit_code == 0

    (call,) = added
    assert (call["name"], call["sha256"]) == ("mine", pinned["sha256"])
    assert "pinned, a test, today" in str(call["card_fields"])


def test_a_file_in_hand_needs_no_server(
    server: Server, weights: Path, monkeypatch: pytest.MonkeyPatch, added: list[dict[str, object]]
) -> None:
    _entry(server, monkeypatch, url=None)
    _one_line(_pull("small", "--sha256", "a" * 64), 2, "published nowhere", "--from FILE")
    _one_line(_pull("small", "--from", weights), 2, "UNVERIFIED", "sha256sum")
    _one_line(
        _pull("small", "--from", weights, "--sha256", "a" * 64), 2, "not the expected", _digest(weights)
    )
    _one_line(_pull("small", "--from", "none.h5", "--sha256", "a" * 64), 2, "There is no file none.h5")

    assert _pull("small", "--from", weights, "--sha256", _digest(weights)).exit_code == 0

    assert server.requests == 0
    assert weights.is_file()
    assert [call["sha256"] for call in added] == [_digest(weights)]


def test_a_server_that_has_it_not_is_one_line_and_exit_1(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _entry(server, monkeypatch)
    server.status = 404
    _one_line(_pull("small", "--sha256", "a" * 64), 1, "404", "--from FILE")


def test_a_pickled_network_is_not_even_fetched_and_its_export_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _entry(server, monkeypatch, published_as="pickle", preset="torchxrayvision-nih")

    _one_line(
        _pull("small", "--sha256", "a" * 64),
        2,
        "whole pickled network",
        "xrv.models.DenseNet(weights='densenet121-res224-nih').state_dict()",
        "cxrbatch model pull small --from state.pt",
    )

    assert server.requests == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "cxr-lite"], "already a model 'cxr-lite'"),
        (["--name", "../out"], "no name for a model"),
        (["--sha256", "12"], "64 hexadecimal digits"),
    ],
)
def test_what_can_be_refused_is_refused_before_the_download(
    server: Server, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    _entry(server, monkeypatch)
    given = arguments if "--sha256" in arguments else [*arguments, "--sha256", "a" * 64]
    _one_line(_pull("small", *given), 2, words)
    assert server.requests == 0


def test_a_verified_file_that_does_not_fit_is_kept_and_not_fetched_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _entry(server, monkeypatch)
    server.content = b"\x89HDF\r\n\x1a\n and no more"
    digest = sha256(server.content).hexdigest()

    for _ in range(2):
        _one_line(_pull("small", "--sha256", digest), 2, "cannot be read as a weights file")

    assert server.requests == 1
    assert (tmp_path / "data/cxrbatch/downloads/small/weights.h5").read_bytes() == server.content


def test_an_unknown_name_lists_the_known_ones() -> None:
    _one_line(_pull("chexpert"), 2, "no public weights 'chexpert'", "torchxrayvision-all", "chexnet-keras")
    _one_line(_pull(), 2, "--list")


def test_the_list_says_what_is_unverified() -> None:
    lines = _pull("--list").stdout.splitlines()
    assert len(lines) == len(registry())
    assert all("UNVERIFIED" in line for line in lines)


# The registry as shipped.


@pytest.mark.parametrize("name", sorted(registry()))
def test_an_entry_names_its_source_licence_and_a_preset(name: str) -> None:
    entry = registry()[name]
    assert entry.licence
    assert entry.project.startswith("https://")
    assert entry.preset in PRESETS
    assert (entry.published_as == "keras weights") == (not PRESETS[entry.preset].from_torch)
    if entry.published_as == "pickle":
        assert "state.pt" in entry.how_to_export
        assert '"' not in entry.how_to_export  # it is shown within double quotes of a shell
        compile(entry.how_to_export, name, "exec")


def test_every_variant_of_torchxrayvision_has_its_own_file() -> None:
    entries = {n: e for n, e in registry().items() if n.startswith("torchxrayvision-")}
    assert len({entry.url for entry in entries.values()}) == len(entries) == 7
    for name, entry in entries.items():
        data = name.removeprefix("torchxrayvision-")
        start = {"all": "nih-pc-chex-mimic_ch-google-openi-kaggle-", "rsna": "kaggle-"}.get(data, f"{data}-")
        assert entry.url is not None
        assert entry.url.rpartition("/")[2].startswith(f"{start}densenet121-d121-tw-lr001")
        assert entry.preset == name


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f'sha256 = "{"a" * 64}"', "come together"),
        ('url = "http://example.org/w"', "url"),
        ('preset = "unheard-of"', "no preset unheard-of"),
        ("colour = 3", "colour"),
    ],
)
def test_a_wrong_registry_is_refused_by_the_key(tmp_path: Path, line: str, reason: str) -> None:
    fields = {
        "title": "T", "preset": "chexnet-keras", "project": "P", "published_as": "keras weights",
        "licence": "L", "citation": "C",
    }  # fmt: skip
    text = "".join(f'{key} = "{value}"\n' for key, value in fields.items() if not line.startswith(key))
    path = tmp_path / "registry.toml"
    path.write_text(f"schema_version = 1\n[weights.one]\nmegabytes = 1\n{text}{line}\n")

    with pytest.raises(BundleError, match=reason):
        registry(path)


def test_the_registry_file_is_beside_its_reader() -> None:
    assert public_weights.REGISTRY_FILE.is_file()
