"""The converted network against the torch original it comes from."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cxrbatch.bundles.architectures import build_architecture
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

pytestmark = pytest.mark.torch


# 225 is odd at every stage, where the two libraries could pad differently.
@pytest.mark.parametrize("size", [224, 225])
def test_features_and_imagenet_logits_agree_with_torch(size: int) -> None:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from tools.convert_efficientnet_lite0 import imagenet_state, load_imagenet_backbone

    state = imagenet_state()
    ours = build_architecture(
        "efficientnet-lite0", InputSpec(height=size, width=size, channels=3, scaling=Scaling.IMAGENET), 1000
    )
    load_imagenet_backbone(ours, state)
    ours.layers[-1].set_weights([state["_fc.weight"].T, state["_fc.bias"]])
    ours.layers[-1].activation = keras.activations.linear
    original = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    original.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    original.eval()
    picture = np.random.default_rng(size).normal(size=(2, size, size, 3)).astype(np.float32)
    planes = torch.from_numpy(picture.transpose(0, 3, 1, 2))

    with torch.no_grad():
        features = original.extract_features(planes).numpy().transpose(0, 2, 3, 1)
        logits = original(planes).numpy()

    ours_features = keras.Model(ours.input, ours.get_layer("pooling").input)(picture)
    assert features.max() > 1.0
    np.testing.assert_allclose(ours_features, features, atol=1e-4)
    np.testing.assert_allclose(ours(picture), logits, atol=1e-4)


def test_the_default_bundle_was_trained_from_this_backbone() -> None:
    """Its last blocks learned, as the recipe says; all before them, and all batch norms, are ImageNet's."""
    from cxrbatch.bundles.bundle import open_bundle
    from cxrbatch.bundles.network import load_classifier
    from tools.convert_efficientnet_lite0 import imagenet_state, load_imagenet_backbone

    bundle = open_bundle("cxr-lite")
    shipped = load_classifier(bundle)
    converted = build_architecture("efficientnet-lite0", bundle.card.input, len(bundle.card.findings))
    load_imagenet_backbone(converted, imagenet_state())

    moved = []
    for theirs, ours in zip(shipped.layers[:-1], converted.layers[:-1], strict=True):
        for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
            if not np.array_equal(a, b):
                moved.append(theirs.name)
    blocks = [f"block{n}_{part}_conv" for n in (13, 14, 15) for part in ("expand", "depthwise", "project")]
    assert moved == [*blocks, "head_conv"]
