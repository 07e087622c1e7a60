"""A picture with masks, real and synthetic images side by side."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.tricks.synthesis.cases import FoldCases, crop_size, scaled
from nnunet_tricks.tricks.synthesis.masks import condition, new_mask, turn_of
from nnunet_tricks.tricks.synthesis.place import GanFacts
from nnunet_tricks.utilities.files import write_atomically

ROWS = 6
GAP = 4
SMALLEST = 96
"""Side in pixels below which pictures are enlarged."""
COLOURS = ((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0))
OUTSIDE, IGNORED = (60, 60, 60), (150, 150, 150)


def write_gallery(cases: FoldCases, facts: GanFacts, generator: nn.Module, device: torch.device) -> None:
    """Write the gallery of a GAN: mask, real image, synthetic one, a new mask, and the synthetic image for it.

    Args:
        cases: Training cases.
        facts: What is known of the GAN.
        generator: Generator by now.
        device: Device that it is on.
    """
    size, turn = crop_size(facts.patch), turn_of(facts.patch)
    rows = []
    with seeded("ganaug", facts.seed, "gallery"), torch.no_grad():
        for _ in range(ROWS):
            name, image, labels = cases.draw(size, neighbours=facts.neighbours)
            style = cases.style(name, facts.ranges)[None, : facts.styles]
            moved = torch.from_numpy(new_mask(labels.numpy(), turn))
            drawn = [
                generator(condition(mask[None], facts.labels, style).to(device))[0].cpu() for mask in (labels, moved)
            ]
            real = scaled(image, facts.ranges)
            rows.append(
                [
                    mask_pixels(labels[facts.neighbours], facts),
                    image_pixels(real),
                    image_pixels(drawn[0]),
                    mask_pixels(moved[facts.neighbours], facts),
                    image_pixels(drawn[1]),
                ]
            )
    write_atomically(cases.place.gallery, png(rows))


def image_pixels(image: Tensor) -> NDArray[np.uint8]:
    """An image (C, Y, X) from -1 to 1 as pixels (Y, X, 3); of other than three channels the first is shown."""
    shown = image if len(image) == 3 else image[:1].expand(3, -1, -1)
    pixels: NDArray[np.uint8] = ((shown + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return pixels


def mask_pixels(labels: Tensor, facts: GanFacts) -> NDArray[np.uint8]:
    """A label map (Y, X) as pixels (Y, X, 3)."""
    pixels = np.empty((*labels.shape, 3), np.uint8)
    pixels[:] = OUTSIDE
    for number, label in enumerate(facts.labels):
        colour = IGNORED if label == facts.ignore else COLOURS[number and 1 + (number - 1) % (len(COLOURS) - 1)]
        pixels[(labels == label).numpy()] = colour
    return pixels


def png(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> bytes:
    """Pictures of one size in rows and columns, as a PNG file."""
    height, width = rows[0][0].shape[:2]
    factor = max(1, -(-SMALLEST // min(height, width)))
    height, width = height * factor, width * factor
    canvas = Image.new("RGB", (len(rows[0]) * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP), (255, 255, 255))
    for down, row in enumerate(rows):
        for right, pixels in enumerate(row):
            picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
            canvas.paste(picture, (right * (width + GAP), down * (height + GAP)))
    stream = BytesIO()
    canvas.save(stream, "PNG", optimize=True)
    return stream.getvalue()
