"""What a network wants to be fed. Pure Python: bundles state it, the pipeline obeys it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Side = Annotated[int, Field(gt=0, le=4096)]
"""Pixels. No network is fed more of a film, and a card that says so would fill the memory."""


class Fit(StrEnum):
    """How a film that is not of the input's shape is brought to it."""

    PAD = "pad"
    """Scaled to fit, black bars at the two short sides: keeps the aspect ratio."""

    STRETCH = "stretch"
    """Scaled to the input's shape, as many published models were trained."""

    CROP = "crop"
    """Scaled to fill the input, the two long ends cut off: torchxrayvision's and torchvision's centre crop.
    Keeps the aspect ratio, but of a film that is not square the ends are not seen."""


class Scaling(StrEnum):
    """How grey values x in [0, 1] become what the network was trained on."""

    UNIT = "unit"
    """x as it is."""

    IMAGENET = "imagenet"
    """Per channel (x - mean) / std with ImageNet's RGB mean and standard deviation."""

    STANDARDISE = "standardise"
    """(x - mean(x)) / std(x) of each image by itself."""

    XRV = "xrv"
    """2048 x - 1024: torchxrayvision's range of [-1024, 1024]."""


class InputSpec(BaseModel):
    """Height, width and channels of the input, and how pixels become numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Side
    width: Side
    channels: Annotated[int, Field(gt=0, le=3)]
    scaling: Scaling
    fit: Fit = Fit.PAD
