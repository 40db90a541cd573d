"""Open a model bundle (contract 3.6): a folder with a card, weights and a golden pair, verified first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cxrbatch.bundles import digests, folders
from cxrbatch.bundles.card import Card
from cxrbatch.bundles.errors import BundleError

CARD_FILE = "card.json"
GOLDEN_FILE = "golden.npz"
MAX_CARD_BYTES = 64 << 20
"""Most of a card are the digests of training patients' IDs: 67 bytes each."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    `sha256` stands for card, weights and golden pair together, and for the film check where there is one: it
    is the SHA-256 of the lines ``<sha256>  <file>`` of these files, sorted by name
    (`digests.combined_digest`).
    """

    folder: Path
    card: Card
    sha256: str

    @property
    def weights_path(self) -> Path:
        """The weights file."""
        return self.folder / self.card.weights.file

    @property
    def golden_path(self) -> Path:
        """The golden pair."""
        return self.folder / GOLDEN_FILE

    @property
    def film_check_path(self) -> Path | None:
        """The arrays that tell whether a picture is a frontal chest film; None where there are none."""
        check = self.card.film_check
        return None if check is None else self.folder / check.file


def open_bundle(name_or_path: str | Path) -> Bundle:
    """The bundle of that name, or in that folder; its files are hashed and compared.

    The golden output is checked by `cxrbatch.scoring.predictor.load_predictor`, which can compute it.

    Raises:
        BundleError: no such bundle (the message lists the known ones), a file is missing or is not the
            one the bundle was made with, or the card is malformed.
    """
    folder = folders.find(name_or_path)
    card = read_card(folder)
    found = {}
    for name in _files(card):
        if not (folder / name).is_file():
            raise BundleError(f"The bundle {folder} has no file {name}: add the model again.")
        found[name] = digests.file_digest(folder / name)
    for part in (card.weights, card.film_check):
        if part is not None and found[part.file] != part.sha256:
            raise BundleError(digests.altered(folder / part.file, part.sha256, found[part.file]))
    digests.check_sums(folder, found)
    bundle = Bundle(folder, card, digests.combined_digest(found))
    if str(name_or_path) == folders.CURRENT:
        _check_promoted(bundle)
    return bundle


def _check_promoted(bundle: Bundle) -> None:
    """A whole bundle may have been put in the place of the one that was promoted."""
    pointer = folders.current()
    if pointer is not None and pointer.sha256 != bundle.sha256:
        raise BundleError(
            f"{bundle.folder} is not the model that was promoted: SHA-256 expected {pointer.sha256}, found "
            f"{bundle.sha256}. Restore it, or promote what lies there now."
        )


def list_bundles() -> dict[str, Path]:
    """Name to folder of every bundle that can be opened by name, sorted by name. Nothing is verified."""
    return folders.known()


def read_card(folder: Path) -> Card:
    """The card in `folder`, not verified against any hash.

    Raises:
        BundleError: it cannot be read, or a field is missing or wrong (the message names it).
    """
    path = folder / CARD_FILE
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise BundleError(f"{path} is larger than {MAX_CARD_BYTES >> 20} MiB: no card is.")
        return Card.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])[:100] or "the whole file"
        raise BundleError(f"{path}: {key}: {first['msg']}.") from error


def write_sums(folder: Path) -> str:
    """Write ``SHA256SUMS`` for the bundle in `folder`, as its files are now; returns the bundle's hash."""
    found = {name: digests.file_digest(folder / name) for name in _files(read_card(folder))}
    (folder / digests.SUMS_FILE).write_text(digests.sums_text(found), encoding="utf-8")
    return digests.combined_digest(found)


def _files(card: Card) -> tuple[str, ...]:
    """The files that the bundle's hash stands for."""
    names = (CARD_FILE, card.weights.file, GOLDEN_FILE)
    return names if card.film_check is None else (*names, card.film_check.file)
