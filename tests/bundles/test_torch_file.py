"""Files of torch that are no state dict of a DenseNet121, from whoever made them."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.bundles import converting
from cxrbatch.bundles.adding import add_bundle
from cxrbatch.bundles.card import OperatingPointCurve
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.presets import PRESETS
from cxrbatch.bundles.torch_file import read_state_dict
from cxrbatch.bundles.torchxrayvision import OUTPUTS, VARIANTS, variant_with

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")

from tests.bundles.torch_densenet import DenseNet121, chexnet_checkpoint, op_norm  # noqa: E402

WHOLE = torch.nn.Linear(2, 3)


class Touch:
    """A pickle of this makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


def _refused(path: Path, words: str, preset: str = "torchxrayvision") -> str:
    with pytest.raises(BundleError, match=words) as caught:
        add_bundle(path, "mine", preset=preset)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("new_format", [True, False])
def test_a_whole_network_is_refused_with_the_line_that_exports_it(tmp_path: Path, new_format: bool) -> None:
    path = tmp_path / "whole.pt"
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=new_format)

    message = _refused(path, "whole pickled network is a program that runs")

    assert (
        "torch.save(xrv.models.DenseNet(weights='densenet121-res224-all').state_dict(), 'state.pt')"
        in message
    )
    assert f"torch.load('{path}'" in _refused(path, "never opened", "chexnet-torch")


@pytest.mark.parametrize("content", [WHOLE, {"model": WHOLE, "epoch": 3}, {"state_dict": WHOLE.state_dict()}])
def test_the_line_that_exports_does_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    path = tmp_path / "whole.pt"
    torch.save({**content, "code": Path()} if isinstance(content, dict) else content, path)
    message = _refused(path, "holds more than numbers", "chexnet-torch")
    (line,) = re.findall('python -c "(.*)", and add', message)
    monkeypatch.chdir(tmp_path)

    exec(line)

    exported = read_state_dict(tmp_path / "state.pt")
    assert {key: value.shape for key, value in exported.items()} == {"weight": (3, 2), "bias": (3,)}


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("where", ["state", "beside"])
def test_code_in_a_checkpoint_never_runs(tmp_path: Path, new_format: bool, where: str) -> None:
    path, ran = tmp_path / "evil.pt", tmp_path / "ran"
    content = Touch(ran) if where == "state" else {"state_dict": {"a": torch.ones(1)}, "epoch": Touch(ran)}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)

    _refused(path, "holds more than numbers")

    assert not ran.exists()
    torch.load(path, weights_only=False)  # it would have
    assert ran.exists()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_never_runs(tmp_path: Path, protocol: int) -> None:
    path, ran = tmp_path / "evil.pt", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Touch(ran), protocol))

    _refused(path, "holds more than numbers|cannot be read as a file of torch")

    assert not ran.exists()


def test_torchscript_is_a_program_too(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with warnings.catch_warnings(action="ignore"):  # torch discourages it by now
        torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))
    _refused(path, "more than numbers")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"weights", "neither a ZIP archive nor a pickle"),
        (b"PK\x03\x04 cut off", "cut off"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M", "cannot be read as a file of torch"),
    ],
)
def test_damage_is_called_damage(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    _refused(path, words)


def test_a_truncated_file_of_torch_is_called_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:-200])
    _refused(path, "cut off")


def test_a_compressed_archive_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    path, bomb = tmp_path / "w.pt", tmp_path / "bomb.pt"
    torch.save({"a": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    _refused(bomb, "compressed archive")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "holds no state dict"),
        ({}, "holds no state dict"),
        ({"epoch": 3}, "'?epoch'? is no tensor"),
        ({"layer1.0.conv1.weight": torch.ones(1)}, "no DenseNet121: it has an array 'layer1"),
        ({"features.conv0.weight": torch.ones(1), "m.features.conv0.weight": torch.ones(1)}, "two arrays"),
        ({"op_threshs": torch.ones(3)}, "op_threshs must be 18 numbers"),
        ({"op_threshs": torch.full((18,), 1.5)}, "must lie between 0 and 1"),
        ({"op_threshs": torch.full((18,), float("nan"))}, "no output .* has a name"),
    ],
)
def test_other_contents_are_refused_by_what_they_lack(tmp_path: Path, content: object, words: str) -> None:
    path = tmp_path / "w.pt"
    torch.save(content, path)
    _refused(path, words)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return DenseNet121(1, 18).state_dict()


def _changed(state: dict[str, torch.Tensor], **changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    changed = dict(state)
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del changed[name]
        else:
            changed[name] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features__norm5__bias": None}, "it has no array features.norm5.bias"),
        ({"features__conv9__weight": torch.ones(1)}, "1 arrays more, such as features.conv9.weight"),
        ({"features__conv0__weight": torch.ones(64, 3, 7, 7)}, "64 x 3 x 7 x 7, expected 64 x 1 x 7 x 7"),
        ({"features__conv0__weight": torch.zeros(1).expand(10**6, 10**6)}, "expected 64 x 1 x 7 x 7"),
        ({"features__norm0__bias": torch.full((64,), float("nan"))}, "norm0.bias holds NaN"),
        ({"classifier__weight": torch.ones(14, 1024)}, "14 x 1024, expected 18 x 1024"),
    ],
)
def test_a_network_that_differs_is_refused_by_the_array(
    tmp_path: Path, state: dict[str, torch.Tensor], changes: dict[str, torch.Tensor | None], words: str
) -> None:
    path = tmp_path / "w.pt"
    torch.save(_changed(state, **changes), path)
    _refused(path, words)


def test_weights_of_one_project_under_the_others_preset_are_refused(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "w.pt"
    nih = [np.nan if p is None else p for p in VARIANTS["densenet121-res224-nih"].operating_points]
    torch.save({**state, "op_threshs": torch.tensor(nih)}, path)

    _refused(path, "is densenet121-res224-nih by its operating points, not .*-pc", "torchxrayvision-pc")
    _refused(path, "use the preset torchxrayvision", "chexnet-torch")
    _refused(path, r"is of torch by its name.*chexnet-torch, torchxrayvision", "chexnet-keras")


def test_old_and_new_names_of_a_checkpoint_are_the_same_arrays(state: dict[str, torch.Tensor]) -> None:
    from cxrbatch.bundles.torch_densenet import torchvision_keys

    network = DenseNet121(1, 18)
    network.load_state_dict(state)
    old = chexnet_checkpoint(network)["state_dict"]
    assert "module.densenet121.features.denseblock4.denselayer16.norm.2.running_var" in old

    found = torchvision_keys(Path("w.pt"), old)

    assert set(found) == {key for key in state if not key.endswith("num_batches_tracked")}
    assert all(torch.equal(found[key], state[key]) for key in found)


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"PK")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    _refused(path, r"cxrbatch\[torch\]")


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_a_variant_is_known_by_its_operating_points(name: str) -> None:
    points = [np.nan if p is None else p for p in VARIANTS[name].operating_points]
    assert len(points) == len(OUTPUTS) == 18
    assert variant_with(points) is VARIANTS[name]
    moved = [p * 1.001 for p in points]
    assert variant_with(moved) is None
    assert PRESETS[f"torchxrayvision-{name.rpartition('-')[2]}"].variant is VARIANTS[name]


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_scaled_values_are_torchxrayvisions(name: str) -> None:
    """Its op_norm in float32, over probabilities from 1e-7 to 1 and on both sides of each point."""
    points = [np.nan if p is None else p for p in VARIANTS[name].operating_points]
    near = [
        [0.1 if np.isnan(p) else float(np.float32(p)) * factor for p in points]
        for factor in (0.999, 1, 1.001)
    ]
    raw = torch.cat([torch.logspace(-7, -0.001, 60)[:, None].expand(60, 18), torch.tensor(near)])
    expected = op_norm(raw.clone(), [float(np.float32(p)) for p in points]).numpy()
    for output, point in enumerate(points):
        if np.isnan(point):
            continue
        curve = OperatingPointCurve(operating_point=float(np.float32(point)))
        ours = [curve(float(p)) for p in raw[:, output]]
        np.testing.assert_allclose(ours, expected[:, output], atol=2e-6)
        assert curve(curve.operating_point) == 0.5
        assert ours[:60] == sorted(ours[:60])


@pytest.mark.parametrize(
    ("preset", "points", "variant", "told"),
    [
        ("torchxrayvision", "nih", "nih", "By its operating points it is densenet121-res224-nih"),
        (
            "torchxrayvision",
            None,
            "all",
            "holds no operating points: it was taken for densenet121-res224-all",
        ),
        ("torchxrayvision-pc", None, "pc", "no name"),
    ],
)
def test_which_weights_they_are_is_told_and_stands_on_the_card(
    tmp_path: Path,
    state: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    preset: str,
    points: str | None,
    variant: str,
    told: str,
) -> None:
    monkeypatch.setattr(
        converting, "write_keras_weights", lambda *_: None
    )  # it takes seconds, elsewhere tested
    extra = {}
    if points:
        known = VARIANTS[f"densenet121-res224-{points}"].operating_points
        extra["op_threshs"] = torch.tensor([np.nan if p is None else p for p in known])
    torch.save({**state, **extra}, tmp_path / "w.pt")

    converted = converting.convert(tmp_path / "w.pt", PRESETS[preset], tmp_path)

    of = VARIANTS[f"densenet121-res224-{variant}"]
    assert any(told in note for note in converted.notes)
    assert len(converted.findings) == sum(p is not None for p in of.operating_points)
    assert of.data in converted.card_fields["training_data"]["description"]
    assert of.name in converted.card_fields["thresholds_method"]
