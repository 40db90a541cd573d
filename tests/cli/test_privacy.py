"""What commands let others read: files, log lines, and the text of errors."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pypdf
import pytest
from PIL import Image

from cxrbatch.config import ConfigError, load_config


def _cxrbatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cxrbatch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One film, with a group that may read, and a validation beside it."""
    folder = tmp_path_factory.mktemp("privacy")
    film = folder / "in" / "film.png"
    film.parent.mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8)).save(film)
    (folder / "c.toml").write_text('[patient_data]\numask = "027"\n')
    done = _cxrbatch("score", film.parent, "--out", folder / "run", "--config", folder / "c.toml")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_group_may_read_where_the_umask_lets_it(run: Path) -> None:
    for path in (run, *run.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o027 == 0, path
        assert mode & 0o040, path


def test_validate_keeps_its_outputs_private_by_default(run: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("image,Effusion\nfilm.png,1\nnobody.png,0\n")
    done = _cxrbatch("validate", run, labels, "--out", tmp_path / "v")
    assert done.returncode == 0, done.stderr
    assert "nobody.png" not in done.stdout + done.stderr
    assert "nobody.png" in (tmp_path / "v" / "validation.html").read_text()
    for path in (tmp_path / "v", *(tmp_path / "v").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_digest_in_audit_pdf_anchors_the_log(run: Path, tmp_path: Path) -> None:
    text = "".join(page.extract_text() for page in pypdf.PdfReader(run / "audit.pdf").pages)
    newest = json.loads((run / "run.json").read_text())["audit_log"]["newest_line_sha256"]
    assert newest in re.sub(r"\s+", "", text)
    assert newest in (run / "audit.html").read_text()
    assert _cxrbatch("doctor", "--verify-audit", run, "--expect", newest).returncode == 0
    cut = tmp_path / "cut"
    cut.mkdir()
    first = (run / "audit.jsonl").read_bytes().splitlines(keepends=True)[0]
    (cut / "audit.jsonl").write_bytes(first)
    done = _cxrbatch("doctor", "--verify-audit", cut, "--expect", newest)
    assert (done.returncode, "removed or altered" in done.stdout) == (1, True)
    assert _cxrbatch("doctor", "--verify-audit", cut).returncode == 0  # the chain alone cannot tell
    assert _cxrbatch("doctor", "--verify-audit", cut, "--expect", "short").returncode == 2
    assert _cxrbatch("doctor", "--expect", newest).returncode == 2


@pytest.mark.parametrize("umask", ["0", "77", "777", "127", "-27", "0o27"])
def test_a_umask_that_is_none_or_shuts_out_the_owner_is_refused(tmp_path: Path, umask: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f'[patient_data]\numask = "{umask}"\n')
    with pytest.raises(ConfigError, match="umask"):
        load_config(path)


def test_key_and_crosswalk_are_relative_to_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[patient_data]\nkey_file = "k/site.key"\ncrosswalk = "/elsewhere/c.db"\n')
    ours = load_config(path).patient_data
    assert (ours.key_file, ours.crosswalk, ours.umask) == (
        tmp_path / "k" / "site.key",
        Path("/elsewhere/c.db"),
        "077",
    )


def _said_by(statements: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", statements], capture_output=True, text=True, timeout=60, check=False
    )


def test_an_unexpected_error_tells_its_place_and_not_its_text() -> None:
    done = _said_by(
        "import sys\n"
        "from cxrbatch.cli import app\n"
        "def broken(*_, **__):\n    raise KeyError('Zebra^Quagga')\n"
        "app.app = broken\n"
        "app.main()"
    )
    assert done.returncode == 1
    assert "unexpected KeyError" in done.stderr
    assert "line 4, broken" in done.stderr
    assert "Zebra" not in done.stdout + done.stderr


def test_libraries_are_not_heard_and_we_are() -> None:
    done = _said_by(
        "import logging, sys, threading, warnings\n"
        "from cxrbatch.cli import app\n"
        "app._log_our_own_messages_only()\n"
        "for name in ('pydicom', 'PIL.Image', 'weasyprint', 'tensorflow', 'anything'):\n"
        "    for level in range(10, 60, 10):\n"
        "        logging.getLogger(name).log(level, 'Zebra')\n"
        "warnings.warn('Zebra')\n"
        "def broken():\n    raise ValueError('Zebra')\n"
        "thread = threading.Thread(target=broken); thread.start(); thread.join()\n"
        "logging.getLogger('cxrbatch').info('We count %d.', 3)\n"
    )
    assert done.returncode == 0
    assert "We count 3." in done.stderr
    assert "unexpected ValueError" in done.stderr
    assert "Zebra" not in done.stdout + done.stderr
