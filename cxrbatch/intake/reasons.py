"""The closed list of reasons why an input file was not scored (architecture.md, 3.3)."""

from __future__ import annotations

from enum import StrEnum


class ReasonGroup(StrEnum):
    """What a rejection means to the person who reads it in the morning."""

    SCREENED_OUT = "screened_out"
    """As every night has: not meant for the model."""

    FAILED = "failed"
    """Something went wrong: someone should look. The run ends with exit code 3."""


class Reason(StrEnum):
    """A reason code of ``rejected.csv``."""

    NOT_AN_IMAGE = "not_an_image"
    NOT_A_RADIOGRAPH = "not_a_radiograph"
    NOT_CHEST = "not_chest"
    NOT_FRONTAL = "not_frontal"
    FOR_PROCESSING = "for_processing"
    MULTIFRAME = "multiframe"
    DERIVED_RESULT = "derived_result"
    LOOKS_WRONG = "looks_wrong"
    DUPLICATE = "duplicate"

    UNREADABLE = "unreadable"
    PIXEL_DATA_MISSING = "pixel_data_missing"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    DECODE_FAILED = "decode_failed"
    DECODE_TIMEOUT = "decode_timeout"
    DECODER_CRASHED = "decoder_crashed"
    TOO_LARGE = "too_large"
    MODEL_FAILED = "model_failed"

    @property
    def group(self) -> ReasonGroup:
        return ReasonGroup.FAILED if self in _FAILED else ReasonGroup.SCREENED_OUT


_FAILED = frozenset(
    {
        Reason.UNREADABLE,
        Reason.PIXEL_DATA_MISSING,
        Reason.UNSUPPORTED_TRANSFER_SYNTAX,
        Reason.DECODE_FAILED,
        Reason.DECODE_TIMEOUT,
        Reason.DECODER_CRASHED,
        Reason.TOO_LARGE,
        Reason.MODEL_FAILED,
    }
)
