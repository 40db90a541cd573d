"""DenseNet121 in plain torch, by torchvision's published structure and names: the oracle of the conversions.

torchvision/models/densenet.py (BSD-3) and torchxrayvision/models.py (Apache-2.0) describe it; nothing here is
shared with the code under test. The weights are random and their batch-norm statistics differ in every
channel.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BLOCKS = (6, 12, 24, 16)


class DenseLayer(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, 128, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(128)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        new = self.conv2(self.relu2(self.norm2(self.conv1(self.relu1(self.norm1(x))))))
        return torch.cat([x, new], 1)


def _transition(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(inputs),
            relu=nn.ReLU(),
            conv=nn.Conv2d(inputs, inputs // 2, 1, bias=False),
            pool=nn.AvgPool2d(2, 2),
        )
    )


class DenseNet121(nn.Module):
    """(n, channels, height, width) -> logits (n, outputs)."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(64),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        width = 64
        for block, count in enumerate(BLOCKS, start=1):
            layers = OrderedDict((f"denselayer{i + 1}", DenseLayer(width + 32 * i)) for i in range(count))
            parts[f"denseblock{block}"] = nn.Sequential(layers)
            width += 32 * count
            if block < len(BLOCKS):
                parts[f"transition{block}"] = _transition(width)
                width //= 2
        parts["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = functional.adaptive_avg_pool2d(functional.relu(self.features(x)), (1, 1))
        return self.classifier(torch.flatten(pooled, 1))


def random_network(channels: int, outputs: int, films: torch.Tensor, seed: int) -> DenseNet121:
    """Random weights and statistics under which the logits of `films` are neither all alike nor saturated.

    Each batch norm's statistics are those of `films` at that place, then moved channel by channel: variances
    by a factor of 0.5 to 2, means by up to a deviation; scales and shifts are random, too. One channel of
    each has next to no variance, as dead channels of real networks have: there the epsilon decides.
    """
    torch.manual_seed(seed)
    network = DenseNet121(channels, outputs)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(films)
        for norm in norms:
            deviation = norm.running_var.sqrt()
            norm.running_mean += deviation * torch.empty_like(deviation).uniform_(-1.0, 1.0)
            norm.running_var *= torch.empty_like(deviation).uniform_(0.5, 2.0)
            norm.running_var[0] = 1e-6
            norm.weight.uniform_(0.5, 1.5)
            norm.weight[0] = 1e-4
            norm.bias.normal_(0.0, 0.3)
        pooled = network.eval().features(films).relu().mean((2, 3))
        # Logits of about -2 to 2: a weight for each output that tells the films apart.
        network.classifier.weight.normal_(0.0, 1.0)
        logits = pooled @ network.classifier.weight.T
        network.classifier.weight /= logits.std(0, keepdim=True).T + 1e-3
        network.classifier.bias.copy_(-(pooled @ network.classifier.weight.T).mean(0))
        network.classifier.bias += torch.empty(outputs).uniform_(-1.0, 1.0)
    return network


def op_norm(raw: torch.Tensor, op_threshs: Sequence[float]) -> torch.Tensor:
    """torchxrayvision's calibration, one number at a time; 0.5 where there is no operating point."""
    scaled = torch.full_like(raw, 0.5)
    for row in range(raw.shape[0]):
        for column, point in enumerate(op_threshs):
            p = raw[row, column]
            if np.isnan(point):
                continue
            if p < point:
                scaled[row, column] = p / (point * 2)
            else:
                scaled[row, column] = 1.0 - ((1.0 - p) / ((1 - point) * 2))
    return scaled


def chexnet_checkpoint(network: DenseNet121) -> dict[str, object]:
    """As arnoweng/CheXNet saved it: DataParallel's prefix, its own, the names of torchvision 0.2.0, and a
    classifier in a Sequential."""
    old = {}
    for key, value in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        for layer in ("norm", "conv"):
            for number in "12":
                key = key.replace(f".{layer}{number}.", f".{layer}.{number}.")
        old[f"module.densenet121.{key.replace('classifier.', 'classifier.0.')}"] = value
    return {"epoch": 9, "best_loss": 0.1, "state_dict": old}
