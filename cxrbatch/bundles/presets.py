"""What is known of public weights that users bring: findings in order, input, architecture, licence.

Facts come from the projects' own code. The Keras projects train on images resized without keeping their
aspect ratio (`Fit.STRETCH`), the torch projects on the centre square (`Fit.CROP`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cxrbatch.bundles.torch_file import ANY_EXPORT
from cxrbatch.bundles.torchxrayvision import DEFAULT, OUTPUTS, VARIANTS, Variant
from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling

_UNKNOWN_LICENCE = "That of the weights' source; cxrbatch grants none."


@dataclass(frozen=True, slots=True)
class Preset:
    """Everything that a weights file does not say of itself.

    `description` names its source. `findings` are the file's outputs in order. `from_torch`: the file is a
    state dict of torch, and `export` is Python that writes one from a whole network. `variant`: the weights
    of torchxrayvision that it says, None where the file's own operating points decide.
    """

    description: str
    architecture: str
    input: InputSpec
    findings: tuple[str, ...]
    licence: str = _UNKNOWN_LICENCE
    from_torch: bool = False
    export: str = ANY_EXPORT
    is_xrv: bool = False
    variant: Variant | None = None


_CHEXNET_ORDER = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)


def _torchxrayvision(variant: Variant | None) -> Preset:
    name = variant.name if variant else DEFAULT
    return Preset(
        description="DenseNet121 of torchxrayvision (mlmed)",
        architecture="densenet121",
        input=InputSpec(height=224, width=224, channels=1, scaling=Scaling.XRV, fit=Fit.CROP),
        findings=OUTPUTS,
        licence="Apache-2.0 (torchxrayvision, of its models); the training films have terms of their own.",
        from_torch=True,
        export=(
            "import torch, torchxrayvision as xrv; "
            f"torch.save(xrv.models.DenseNet(weights='{name}').state_dict(), 'state.pt')"
        ),
        is_xrv=True,
        variant=variant,
    )


PRESETS = {
    "coursera-nih": Preset(
        description="pretrained_model.h5 of the course AI for Medical Diagnosis (deeplearning.ai)",
        architecture="densenet121",
        # Its generator standardises each image by its own mean and deviation (samplewise).
        input=InputSpec(height=320, width=320, channels=3, scaling=Scaling.STANDARDISE, fit=Fit.STRETCH),
        findings=(
            "Cardiomegaly",
            "Emphysema",
            "Effusion",
            "Hernia",
            "Infiltration",
            "Mass",
            "Nodule",
            "Atelectasis",
            "Pneumothorax",
            "Pleural_Thickening",
            "Pneumonia",
            "Fibrosis",
            "Edema",
            "Consolidation",
        ),
    ),
    "chexnet-keras": Preset(
        description="weights of the project CheXNet-Keras (brucechou1983)",
        architecture="densenet121",
        input=InputSpec(height=224, width=224, channels=3, scaling=Scaling.IMAGENET, fit=Fit.STRETCH),
        findings=_CHEXNET_ORDER,
    ),
    "chexnet-torch": Preset(
        description="torchvision's DenseNet121 trained as CheXNet (arnoweng, jrzech/reproduce-chexnet)",
        architecture="densenet121",
        input=InputSpec(height=224, width=224, channels=3, scaling=Scaling.IMAGENET, fit=Fit.CROP),
        findings=_CHEXNET_ORDER,
        from_torch=True,
    ),
    "torchxrayvision": _torchxrayvision(None),
    **{f"torchxrayvision-{v.name.rpartition('-')[2]}": _torchxrayvision(v) for v in VARIANTS.values()},
}
"""By the name that ``cxrbatch model add --preset`` takes."""
