"""One DICOM file to a display-oriented grey image: the steps in order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrbatch.intake.reasons import Reason
from cxrbatch.radiographs.dicom_file import parse_dicom
from cxrbatch.radiographs.grey_table import grey_table
from cxrbatch.radiographs.layout import PixelLayout, read_layout
from cxrbatch.radiographs.luminance import COLOUR_NOTE, is_colour, luminance
from cxrbatch.radiographs.palette import palette_table
from cxrbatch.radiographs.pixel_data import decode_samples, require_pixel_data
from cxrbatch.radiographs.radiograph import Radiograph, RadiographError
from cxrbatch.radiographs.reduced import reduced_samples
from cxrbatch.radiographs.stored_values import look_up, stored_pixels
from cxrbatch.radiographs.transfer_syntax import settle_transfer_syntax


def read_dicom(data: bytes, least: tuple[int, int] | None = None) -> Radiograph:
    """Render a DICOM file, with `least` at a lower resolution where that is possible (reduced.py).

    Greyscale goes through bit mask, modality LUT, VOI LUT or window, inversion and padding (PS3.4 N.2),
    all as one table; colour and palette colour become luminance. Raises `RadiographError`.
    """
    ds = parse_dicom(data)
    require_pixel_data(ds)
    syntax_notes = settle_transfer_syntax(ds)
    layout = read_layout(ds)
    if least is not None and (few := reduced_samples(ds, layout, least)) is not None:
        stored = stored_pixels(few, layout, encapsulated=True)
        table = grey_table(ds, stored, layout)
        # Single bright or dark pixels are gone from a smaller picture: its own extremes are no measure.
        if not table.from_extremes:
            size = (layout.rows, layout.columns)
            return Radiograph(
                look_up(table.grey, stored.words),
                syntax_notes + layout.notes + stored.notes + table.notes,
                size,
            )
    samples = decode_samples(ds, layout)
    if layout.samples == 3:
        return _from_colour(samples, layout, syntax_notes)
    stored = stored_pixels(samples, layout, ds.file_meta.TransferSyntaxUID.is_encapsulated)
    notes = syntax_notes + layout.notes + stored.notes
    if layout.photometric == "PALETTE COLOR":
        return Radiograph(look_up(palette_table(ds, stored), stored.words), notes)
    table = grey_table(ds, stored, layout)
    return Radiograph(look_up(table.grey, stored.words), notes + table.notes)


def _from_colour(samples: NDArray[np.integer], layout: PixelLayout, notes: tuple[str, ...]) -> Radiograph:
    if layout.bits_stored > 32:
        raise RadiographError(
            Reason.DECODE_FAILED, f"Colour of {layout.bits_stored} bits a sample cannot be read."
        )
    rgb = samples.view(samples.dtype.str.replace("i", "u"))
    if layout.bits_stored < layout.bits_allocated:
        rgb = rgb & rgb.dtype.type((1 << layout.bits_stored) - 1)
    if is_colour(rgb, layout.bits_stored):
        notes += (COLOUR_NOTE,)
    return Radiograph(luminance(rgb, layout.bits_stored), layout.notes + notes)
