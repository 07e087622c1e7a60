"""The gallery: cases that a trick helped and hurt most, with image, truth and both predictions side by side."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from nnunet_tricks.comparison.report.facts import GalleryCase
from nnunet_tricks.comparison.report.pictures import COLOURS
from nnunet_tricks.comparison.report.view import SectionView
from nnunet_tricks.comparison.statistics.model import CaseDifference, Effect
from nnunet_tricks.comparison.worth import number


def gallery(view: SectionView) -> Iterator[str]:
    """The pictures of a section, as HTML."""
    statistics = view.statistics
    colours = (
        f'<li><i style="background:{COLOURS[place % len(COLOURS)]}"></i>{escape(label)}</li>'
        for place, label in enumerate(view.section.classes)
    )
    yield f'<ul class="key">{"".join(colours)}</ul>'
    yield (
        '<p class="note">Each picture is the slice in which one prediction is wrong most often where the other is '
        "right. Of several runs the one nearest to their mean is shown. Numbers are of the whole case, as means over "
        "runs.</p>"
    )
    for trick in statistics.tricks:
        effect = statistics.primary(trick)
        differences = {difference.case: difference for difference in effect.differences}
        shown = [
            case for case in view.section.shown if view.names[case.trick] == trick.name and case.case in differences
        ]
        if shown:
            yield f"<h4>{escape(trick.name)}</h4>"
            yield from (_case(case, differences[case.case], effect, trick.name) for case in shown)


def _case(shown: GalleryCase, case: CaseDifference, effect: Effect, trick: str) -> str:
    gain = effect.gain_in(case)
    word = "helped" if gain > 0 else "hurt" if gain < 0 else "same"
    colour = {"helped": "helps", "hurt": "hurts"}.get(word, "")
    size = number(case.difference, effect.unit, signed=True)
    picture = shown.picture
    # Four tiles show the same slice, and a page with colour pictures is large enough when it holds each of them once.
    lines = [
        f'<div class="case" style="--slice:url(data:image/png;base64,{picture.image})"><div class="said">'
        f'<strong class="{colour}">{word} {size}</strong><br>'
        f'{escape(case.case)}<br><span class="soft">slice {picture.slice}, fold {escape(case.fold)}</span></div>'
    ]
    captions = {
        "": "image",
        "truth": "truth",
        "baseline": f"baseline {number(case.baseline, effect.unit)}, run {shown.runs[0]}",
        "trick": f"{trick} {number(case.trick, effect.unit)}, run {shown.runs[1]}",
    }
    for layer, caption in captions.items():
        over = f'<img alt="" src="data:image/png;base64,{picture.layers[layer]}">' if layer else ""
        lines.append(
            f'<figure class="tile"><div class="stack" role="img" '
            f'aria-label="{escape(case.case)}, {escape(layer or "image")}" '
            f'style="aspect-ratio:{picture.width}/{picture.height}">{over}'
            f"</div><figcaption>{escape(caption)}</figcaption></figure>"
        )
    return "".join(lines) + "</div>"
