"""``[train]`` of cxrbatch.toml: all that decides how a network learns. Recorded in ``TRAIN/run.json``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

Mode = Literal["subset", "full"]

Fraction = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]

SUBSET_STEPS, SUBSET_VALIDATION_STEPS, SUBSET_EPOCHS = 100, 25, 3
FULL_EPOCHS = 60
"""More than early stopping lets it take."""
FULL_WARMUP = 2
KNOWN_START_SHARE = 0.5
"""Of a start that knows all findings. Halfway to it a network of little data is at its best, or near it
(WiSE-FT, arXiv:2109.01903; docs/training.md has the figures)."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Augmentation(_Part):
    """``[train.augmentation]``: random changes that a chest film tolerates.

    Each is drawn uniformly from both sides: `rotation` in degrees, `shift` as a share of the side, `scale`
    and `contrast` as a share of 1. A left-right flip turns situs solitus into inversus: off by default.
    """

    rotation: Annotated[float, Field(ge=0.0, le=45.0)] = 7.0
    shift: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    scale: Annotated[float, Field(ge=0.0, le=0.5)] = 0.08
    contrast: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.15
    flip: bool = False

    @classmethod
    def none(cls) -> Self:
        """No change at all."""
        return cls(rotation=0.0, shift=0.0, scale=0.0, contrast=0.0)


class TrainSettings(_Part):
    """Every key may be left out. None: what the mode (`Plan`) says.

    `unfreeze` is the share of the backbone's layers, from the top, that learn after the warm-up.
    """

    batch_size: PositiveInt = 8
    seed: NonNegativeInt = 0
    steps_per_epoch: PositiveInt | None = None
    validation_steps: PositiveInt | None = None
    epochs: PositiveInt | None = None
    warmup_epochs: NonNegativeInt | None = None
    warmup_learning_rate: Rate = 3e-4
    learning_rate: Rate = 1e-4
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4
    unfreeze: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    dropout: Fraction = 0.2
    averaging: Fraction = 0.99
    """Decay a step of the weights' moving average, which is what is judged and kept; 0 for none."""
    weighted_loss: bool = True
    soft_weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    start_share: Fraction | None = None
    """Share of the start's weights in what is judged and kept, beside that average."""
    keep: Literal["best", "last"] = "best"
    """The epoch whose weights are the bundle's: the best on validation; or the last, for a recipe whose
    epochs were fixed beforehand. Then validation changes neither learning rate nor weights."""
    validation_fraction: Fraction = 0.15
    test_fraction: Fraction = 0.15
    reduce_lr_patience: PositiveInt = 3
    reduce_lr_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    early_stopping_patience: PositiveInt = 8
    thresholds: Literal["youden", "sensitivity"] = "youden"
    """Which rule the bundle's thresholds follow; its card has those of the other rule, too."""
    threshold_sensitivity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    mixed_precision: Literal["auto", "on", "off"] = "auto"
    size: Annotated[int, Field(ge=32, le=2048)] | None = None
    """Side of the network's input in pixels; None for that of the start."""
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 0.9:
            raise ValueError("validation_fraction and test_fraction must leave a tenth for training")
        return self


class Plan(_Part):
    """What a mode makes of the settings. `epochs` counts the `warmup_epochs`, in which the head alone learns.

    Steps: None for all films. `start_share` as in `TrainSettings`.
    """

    mode: Mode
    epochs: PositiveInt
    warmup_epochs: NonNegativeInt
    steps_per_epoch: PositiveInt | None
    validation_steps: PositiveInt | None
    start_share: Fraction


def make_plan(mode: Mode, settings: TrainSettings, *, head_is_known: bool = False) -> Plan:
    """Subset: the litmus test before the long run, in which the head alone learns so that it is quick on a
    CPU too. Full: every film, as many epochs as it takes.

    `head_is_known`: the start has a row of its head for every finding. Then a full training needs no warm-up,
    which is there to keep a raw head from spoiling the layers below it (Kumar et al., arXiv:2202.10054) and
    would take from this one what it knows; and the start is worth staying near to.
    """
    if mode == "subset":
        epochs = settings.epochs or SUBSET_EPOCHS
        warmup = epochs if settings.warmup_epochs is None else min(settings.warmup_epochs, epochs)
        return Plan(
            mode=mode,
            epochs=epochs,
            warmup_epochs=warmup,
            steps_per_epoch=settings.steps_per_epoch or SUBSET_STEPS,
            validation_steps=settings.validation_steps or SUBSET_VALIDATION_STEPS,
            start_share=settings.start_share or 0.0,
        )
    epochs = settings.epochs or FULL_EPOCHS
    warmup = 0 if head_is_known else FULL_WARMUP
    share = KNOWN_START_SHARE if head_is_known else 0.0
    return Plan(
        mode=mode,
        epochs=epochs,
        warmup_epochs=min(warmup if settings.warmup_epochs is None else settings.warmup_epochs, epochs),
        steps_per_epoch=settings.steps_per_epoch,
        validation_steps=settings.validation_steps,
        start_share=share if settings.start_share is None else settings.start_share,
    )
