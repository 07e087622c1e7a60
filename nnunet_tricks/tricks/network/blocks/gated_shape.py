r"""The gated shape stream of SAU-Net: a second, thin path at full resolution that only learns edges.

It starts from the features of the first encoder stage. Three deeper stages, one after the other, say by a gate where in
it edges are: $\alpha_t = \sigma(C_{1 \times 1}(S_t \,\|\, C_{1 \times 1}(T_t)))$ for the stream $S_t$ and the features
$T_t$ of the stage, enlarged to full resolution, and $S_{t+1} = \mathrm{Residual}(S_t (1 + \alpha_t))$. A last
$1 \times 1$ convolution gives a logit of an edge for each voxel. Sun et al., "SAUNet: shape attentive U-Net for
interpretable medical image segmentation", MICCAI 2020, section 2.2; the gate with 1 + alpha is that of Takikawa et al.,
"Gated-SCNN", ICCV 2019, eq. 2.

The paper concatenates the edge map (after a sigmoid) with features of the decoder at full resolution, which the next
convolution sums. Here a $1 \times 1$ convolution of the map is added to the first skip connection, which the decoder's
next convolution sums just as well. All stages keep the planned channels, so other blocks and IFE fit beside it. This
convolution begins at zero: an untrained network computes what the planned one does, bit for bit.
The paper also feeds Canny edges of the image into the map; they have no gradient and no 3D form, and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from dynamic_network_architectures.building_blocks.residual import BasicBlockD
from torch import Tensor, nn

GATES = 3
"""Number of encoder stages that gate the stream, the deepest ones; fewer where there are fewer."""
THINNEST = 4
"""Fewest channels of the stream."""


class ShapeGate(nn.Module):
    """A residual block of the stream after the attention of one encoder stage.

    Attributes:
        view_name: Name for people.
    """

    def __init__(self, features: int, channels: int, thinner: int, *, stage: int, encoder: Any) -> None:
        """Build it.

        Args:
            features: Channels of the encoder stage.
            channels: Channels of the stream before.
            thinner: Channels of the stream afterwards.
            stage: Number of the encoder stage, for its name.
            encoder: nnU-Net's encoder, whose kinds of layers the stream has.
        """
        super().__init__()
        convolution = encoder.conv_op
        self.view_name = f"shape gate of stage {stage}"
        self.reduce = convolution(features, 1, 1)
        self.attention = convolution(channels + 1, 1, 1)
        self.residual = BasicBlockD(
            convolution,
            channels,
            thinner,
            encoder.kernel_sizes[0],
            1,
            conv_bias=encoder.conv_bias,
            norm_op=encoder.norm_op,
            norm_op_kwargs=encoder.norm_op_kwargs,
            nonlin=encoder.nonlin,
            nonlin_kwargs=encoder.nonlin_kwargs,
        )

    def forward(self, stream: Tensor, features: Tensor) -> Tensor:
        """Stream (B, S, *spatial) and features (B, C, *smaller) -> stream (B, thinner, *spatial)."""
        gated: Tensor = self.residual(stream * (1 + self._attention(stream, features)))
        return gated

    def view(self, stream: Tensor, features: Tensor) -> Tensor:
        """The attention (B, *spatial), from 0 to 1."""
        return self._attention(stream, features)[:, 0]

    def _attention(self, stream: Tensor, features: Tensor) -> Tensor:
        mode = "bilinear" if stream.ndim == 4 else "trilinear"
        enlarged = F.interpolate(self.reduce(features), size=stream.shape[2:], mode=mode, align_corners=False)
        attention: Tensor = self.attention(torch.cat([stream, enlarged], dim=1)).sigmoid()
        return attention


class ShapeStream(nn.Module):
    """The stream: features of all encoder stages come in, and go out with edges in the first skip connection.

    Attributes:
        view_name: Name for people.
        edge_logits: What the last batch of a training got, (B, *spatial), for its loss; ``None`` outside of training.
    """

    edge_logits: Tensor | None

    def __init__(self, encoder: Any) -> None:
        """Build it for an encoder.

        Args:
            encoder: nnU-Net's encoder; its features are not changed.

        Raises:
            ValueError: If it has a single stage.
        """
        super().__init__()
        features: list[int] = list(encoder.output_channels)
        if len(features) < 2:
            raise ValueError(
                f"ShapeStream needs an encoder of at least 2 stages, and the planned one has {len(features)}"
            )
        widths = [max(THINNEST, features[0] // 2 ** (place + 1)) for place in range(GATES + 1)]
        stages = range(max(1, len(features) - GATES), len(features))
        self.view_name = "edges (shape stream)"
        self.start = encoder.conv_op(features[0], widths[0], 1)
        self.stages = list(stages)
        self.gates = nn.ModuleList(
            ShapeGate(features[stage], widths[place], widths[place + 1], stage=stage, encoder=encoder)
            for place, stage in enumerate(stages)
        )
        self.edge = encoder.conv_op(widths[len(stages)], 1, 1)
        self.expand = encoder.conv_op(1, features[0], 1)
        self.edge_logits = None

    def begin_at_zero(self) -> None:
        """Make the map count nothing yet, whatever it is."""
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, skips: Sequence[Tensor]) -> list[Tensor]:
        """Features of all encoder stages, full resolution first -> the same, with edges added to the first."""
        logits = self._logits(skips)
        self.edge_logits = logits[:, 0] if self.training else None
        return [skips[0] + self.expand(logits.sigmoid()), *skips[1:]]

    def view(self, skips: Sequence[Tensor]) -> Tensor:
        """Probability of an edge (B, *spatial)."""
        return self._logits(skips)[:, 0].sigmoid()

    def _logits(self, skips: Sequence[Tensor]) -> Tensor:
        stream = self.start(skips[0])
        for stage, gate in zip(self.stages, self.gates, strict=True):
            stream = gate(stream, skips[stage])
        logits: Tensor = self.edge(stream)
        return logits
