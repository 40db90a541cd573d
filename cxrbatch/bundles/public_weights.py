"""The registry of public weights: where they are published, on which terms, and which preset reads them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.presets import PRESETS

REGISTRY_FILE = Path(__file__).with_name("public_weights.toml")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PublicWeights(BaseModel):
    """One entry.

    `sha256`, `size` (bytes) and `verified` (who compared the file, and when) come together or not at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    preset: str
    project: str
    url: Annotated[str, Field(pattern=r"^https://")] | None = None
    published_as: Literal["state dict", "keras weights", "pickle"]
    megabytes: int
    licence: str
    citation: str
    sha256: Sha256 | None = None
    size: Annotated[int, Field(gt=0)] | None = None
    verified: str | None = None

    @model_validator(mode="after")
    def _verified_or_not(self) -> Self:
        if len({self.sha256 is None, self.size is None, self.verified is None}) != 1:
            raise ValueError("sha256, size and verified come together: a hash that nobody compared is none")
        if self.preset not in PRESETS:
            raise ValueError(f"there is no preset {self.preset}")
        return self

    @property
    def file_name(self) -> str:
        """What the file is called here: readers go by the ending."""
        return "weights.h5" if self.published_as == "keras weights" else "weights.pt"

    @property
    def how_to_export(self) -> str:
        """Python that writes ``state.pt`` from the published network."""
        return PRESETS[self.preset].export


class _Registry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1]
    weights: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")], PublicWeights]


def registry(path: Path | None = None) -> dict[str, PublicWeights]:
    """Every entry by its name, sorted.

    Raises:
        BundleError: the file cannot be read, or an entry is wrong.
    """
    path = path or REGISTRY_FILE
    try:
        content = _Registry.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BundleError(f"{path} cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{path}: {key}: {first['msg']}.") from error
    return dict(sorted(content.weights.items()))


def entry_named(name: str) -> PublicWeights:
    """The entry of that name.

    Raises:
        BundleError: there is none; the message lists the names.
    """
    entries = registry()
    if name not in entries:
        raise BundleError(f"There are no public weights '{name}'; there are {', '.join(entries)}.")
    return entries[name]
