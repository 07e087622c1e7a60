"""A page for each trick, written from the catalogue."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from posixpath import relpath
from typing import Any

from nnunet_tricks.catalogue import EVERYTHING, after_training
from nnunet_tricks.catalogue.info import HOOKS, Parameter, TrickInfo, Value
from nnunet_tricks.catalogue.naming import completed, parse
from website import evidence
from website.pages import api
from website.pages.checked import checked
from website.pages.tables import capitalized, table
from website.pictures.gallery import caption_of, has_picture
from website.places import place_of

FOLDER = "tricks"
OVERVIEW = f"{FOLDER}/losses_side_by_side.md"
STOCK = "nnU-Net"
"""Name of nnU-Net's own loss on the page of all losses."""

HOOK_WORDS = {
    "task": "what is learned: something for which no labels are needed",
    "loss": "the loss",
    "targets": "the target: the loader adds maps that the loss reads",
    "supervision": "deep supervision: which outputs of the network the loss sees",
    "augmentation": "augmentation of training patches",
    "mirroring": "mirroring, in training and at prediction",
    "sampling": "which patches of which cases are drawn",
    "labels": "which labels the training sees",
    "semisupervised": "what is learned from voxels that nobody annotated",
    "network": "the network",
    "weights": "the weights that a training starts from",
    "optimizer": "the optimiser",
    "schedule": "the learning rate over the epochs",
    "stopping": "after how many epochs a training ends",
    "inference": "how a trained model predicts",
    "postprocessing": "finished segmentations",
}
"""The hooks in words, each as what a trick changes."""

FAMILIES = {
    "task": "Without labels",
    "loss": "Losses",
    "supervision": "Deep supervision",
    "augmentation": "Augmentation",
    "mirroring": "Augmentation",
    "sampling": "Sampling",
    "semisupervised": "Voxels without labels",
    "network.backbone": "Networks",
    "network.norm": "Norm layers",
    "network.skips": "Feature enhancement",
    "network": "Network blocks",
    "weights": "Pretrained weights",
    "optimizer": "Optimiser and schedule",
    "schedule": "Optimiser and schedule",
    "stopping": "Optimiser and schedule",
    "inference": "For trained models",
    "postprocessing": "For trained models",
}
"""Titles in the navigation, by the first hook of a trick that is none of those that only serve others."""

BASES = "Bases"
MOST_RELATED = 6


def page_of(info: TrickInfo) -> str:
    """Place of a trick's page on the site."""
    return f"{FOLDER}/{info.name}.md"


def picture_of(info: TrickInfo) -> str:
    """Place of a trick's picture on the site."""
    return f"{FOLDER}/pictures/{info.name}.png"


def map_of(name: str) -> str:
    """Place of a loss's map alone on the site."""
    return f"{FOLDER}/maps/{name}.png"


def family_of(info: TrickInfo) -> str:
    """Title of the part of the navigation that a trick stands in."""
    if info.base:
        return BASES
    if "network.backbone" in info.hooks:
        return FAMILIES["network.backbone"]
    slots = [hook for hook in info.hooks if hook in FAMILIES and "." in hook]
    if slots:
        return FAMILIES[slots[0]]
    hooks = {hook.partition(".")[0] for hook in info.hooks}
    first = min(hooks - {"targets", "labels"} or hooks, key=HOOKS.index)
    return FAMILIES.get(first, first.capitalize())


def navigation() -> list[Any]:
    """The pages of all tricks by family, as MkDocs takes them."""
    families: dict[str, list[dict[str, str]]] = {}
    for info in EVERYTHING:
        pages = families.setdefault(family_of(info), [])
        if not pages and family_of(info) == FAMILIES["loss"]:
            pages.append({"All losses side by side": OVERVIEW})
        pages.append({info.name: page_of(info)})
    return [{title: pages} for title, pages in families.items()]


def trick_page(info: TrickInfo, failure: str = "") -> str:
    """The page of a trick in Markdown.

    Args:
        info: The trick.
        failure: Why its picture could not be made; empty if it was.
    """
    parts = [
        "---\nsearch:\n  boost: 2\n---",
        f"# {info.name}",
        capitalized(info.summary),
        "\n".join(_picture(info, failure)),
        f"```bash\n{command(info)}\n```",
        *_changes(info),
        *_formula(info),
        *_parameters(info),
        *_advice(info),
        *_measured(info),
        *_judged(info),
        *_costs(info),
        *checked(info),
        *_paper(info),
        *_related(info),
    ]
    return "\n\n".join(parts) + "\n"


def overview_page() -> str:
    """The page that shows the maps of all losses side by side."""
    tiles = [f"![Where nnU-Net's own loss pushes](maps/{STOCK}.png) {STOCK}: Dice and CE"]
    tiles += [f"[![Where {info.name} pushes](maps/{info.name}.png) {info.name}]({info.name}.md)" for info in losses()]
    listed = "\n".join(f"- {tile}" for tile in tiles)
    return (
        "# All losses side by side\n\n"
        "One image, one truth and one prediction with every kind of error, and where each loss pushes the prediction.\n"
        "Red: the loss wants more object there. Blue: less. White: it leaves the voxel alone.\n"
        "The thin line is the true border. Each map has its own scale, so colours compare places and not losses.\n\n"
        f'<div class="maps" markdown>\n\n{listed}\n\n</div>\n\n'
        "What to look for:\n\n"
        "- **The small object that was missed** (right, white in `Dice`). The network is sure that nothing is there.\n"
        "  An overlap loss alone hardly pushes where the network is sure. Cross-entropy pushes there most.\n"
        "- **The false alarm** (top left). `Tversky` and its relatives push less against it than `Dice`: that is the"
        " price of fewer misses.\n"
        "- **The gap between the neighbours** (top right). `DistanceCE` pushes most there.\n"
        "- **The broken thread** (bottom). `SkeletonRecall` and `ClDice` push along it.\n"
        "- **The large object**. Losses that count voxels push all along its border; `GeneralizedDice` and `Blob` give"
        " small objects their share.\n\n"
        "Losses with a schedule, such as `Boundary`, are shown in the middle of the training.\n"
        "The maps are made by the trainers' own losses when this site is built.\n"
    )


def losses() -> list[TrickInfo]:
    """All tricks that are drawn as losses."""
    return [info for info in EVERYTHING if "loss" in info.hooks and not info.base]


def command(info: TrickInfo) -> str:
    """A line for a shell that uses the trick."""
    if info.command:
        return after_training.example(after_training.read(info.name))
    name = completed(parse(info.trainer))
    return f"nnUNetv2_train 501 {'2d' if 2 in (info.dimensions, name.dimensions) else '3d_fullres'} 0 -tr {name}"


def _picture(info: TrickInfo, failure: str) -> Iterator[str]:
    if failure:
        yield f'!!! failure "The picture of this trick could not be made"\n    {failure}'
    elif has_picture(info):
        # The picture leads to itself, where a phone can enlarge it.
        yield f"[![{caption_of(info).partition(':')[0]}](pictures/{info.name}.png)](pictures/{info.name}.png)\n"
        yield caption_of(info)
    elif info.base:
        yield "A base is a training's whole setting, made of the tricks below. A trick after it replaces what it set."
    else:
        yield caption_of(info)


def _changes(info: TrickInfo) -> Iterator[str]:
    yield "## What it changes"
    hooks = list(dict.fromkeys(hook.partition(".")[0] for hook in info.hooks))
    if info.base:
        named = {trick.name: trick for trick in EVERYTHING}
        parts = [
            f"- [`{part}`]({part.partition('_')[0]}.md): {named[part.partition('_')[0]].summary}" for part in info.parts
        ]
        yield "\n".join(parts)
    elif info.command:
        yield f"It needs a trained model and no training. It changes {'; '.join(HOOK_WORDS[hook] for hook in hooks)}."
    else:
        yield f"It changes {'; '.join(HOOK_WORDS[hook] for hook in hooks)}. All else stays as in nnU-Net, bit for bit."
    description = _description(info)
    if description:
        yield description
        package = info.module.rpartition(".")[0]
        yield f"Code: [`{info.module}`](../{api.FOLDER}/{package}.md)"


def _formula(info: TrickInfo) -> Iterator[str]:
    if not info.base:
        yield f"In short:\n\n```{{.text .wraps}}\n{' '.join(info.formula.split())}\n```"


def _parameters(info: TrickInfo) -> Iterator[str]:
    if not info.parameters:
        return
    yield "## Parameters"
    yield table(
        ("in a name", "what it is", "allowed", "default"),
        [(f"`{_spelled(p)}`", p.help, p.allowed, f"`{_written(p.default)}`") for p in info.parameters],
    )
    yield "How parameters are written in a trainer's name: [names](../names.md)."


def _advice(info: TrickInfo) -> Iterator[str]:
    # The problems stand in the heading, so that a search for one finds its tricks first.
    yield f"## For {', '.join(info.challenges)}"
    if info.use_when:
        yield f"**Use it** {info.use_when}."
    if info.avoid_when:
        yield f"**Better not** {info.avoid_when}."
    yield "It may do nothing for your data: [is it a real difference?](../compare.md#is-it-a-real-difference)"


def _measured(info: TrickInfo) -> Iterator[str]:
    yield "## What papers measured"
    if not info.measured:
        yield "No table of the papers that this package follows has it."
        return
    yield "Dice in percent. One trick was added to a bare baseline, and each was trained once."
    yield table(
        ("data set", "baseline", "change", "name there", "where"),
        [(m.dataset, f"{m.baseline:.2f}", f"{m.delta:+.2f}", m.row, m.source) for m in info.measured],
    )


def _judged(info: TrickInfo) -> Iterator[str]:
    yield "## What we measured"
    verdicts = evidence.verdicts_on(info.name)
    if verdicts:
        yield "Differences to the baseline, with reruns taken into account ([statistics](../statistics.md))."
        yield table(
            ("method", "data", "measure", "difference", "95 % interval", "verdict"),
            [
                (
                    f"`{v.trainer}` against `{v.baseline}`",
                    f"[{v.data}]({_from_here(v.page)})",
                    v.measure,
                    v.difference,
                    v.interval,
                    f"**{v.word}**",
                )
                for v in verdicts
            ],
        )
    mentions = evidence.mentions_of(info.name)
    if mentions:
        listed = ", ".join(f"[{_title(page)}]({_from_here(page)})" for page in mentions)
        yield f"Trained without reruns, so without a verdict: {listed}."
    if not verdicts and not mentions:
        yield "Nothing yet. An [experiment file](../run.md) of a few lines measures it on your data."


def _costs(info: TrickInfo) -> Iterator[str]:
    yield "## What it costs"
    costs = evidence.costs_of(info.name)
    if not costs:
        yield "Not measured by itself. `nnunet-tricks compare` prints time and memory of your trainings."
        return
    yield table(
        ("what", "time", "peak memory", "figures"),
        [
            (c.what, f"{c.time:.2f} x {c.beside}", c.memory or "-", f"[{Path(c.file).name}]({_from_here(c.file)})")
            for c in costs
        ],
    )
    yield "Measured on one thread of a CPU."


def _paper(info: TrickInfo) -> Iterator[str]:
    papers = dict.fromkeys([info.paper, *(p.paper for p in info.parameters if p.paper)])
    yield "## Paper"
    for paper in papers:
        fields = paper.fields
        place = fields.get("journal") or fields.get("booktitle") or ""
        yield f"{_plain(paper.short)}: *{_plain(fields['title'])}*. {capitalized(_plain(place)) if place else ''}"
        yield f"```bibtex\n{paper.bibtex}\n```"
    yield f"`nnunet-tricks show {info.name} --cite` prints it together with nnU-Net's own entry."


def _related(info: TrickInfo) -> Iterator[str]:
    others = [other for other in EVERYTHING if other is not info and family_of(other) == family_of(info)]

    def closeness(other: TrickInfo) -> int:
        shares_name = (
            other.name.startswith(info.name) or info.name.startswith(other.name) or other.module == info.module
        )
        return -len({*other.challenges} & {*info.challenges}) - 3 * shares_name - 2 * (other.paper == info.paper)

    related = sorted(others, key=closeness)[:MOST_RELATED]
    if related:
        yield "## Related tricks"
        yield "\n".join(f"- [{other.name}]({other.name}.md): {other.summary}" for other in related)


def _description(info: TrickInfo) -> str:
    """What the code says about a trick: its module, or the function of its name where the module is shared."""
    if not info.module.startswith("nnunet_tricks."):
        return ""
    found = find_spec(info.module)
    if not found or not found.origin:
        return ""
    module = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", info.name).lower()
    own = [part for part in module.body if isinstance(part, ast.FunctionDef) and part.name == name]
    text = (ast.get_docstring((own if info.command and own else [module])[0]) or "").partition("\n\nArgs:")[0]
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    # A formula that begins a paragraph stands in a line of its own.
    return re.sub(r"^(\$[^$]{12,}\$) ", r"\1\n{ .formula }\n\n", text, flags=re.M)


def _spelled(parameter: Parameter) -> str:
    kind = {bool: "", int: "<n>", float: "<x>", tuple: "<x>x<y>"}.get(type(parameter.default), "<word>")
    return parameter.name + kind


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "x".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _plain(bibtex: str) -> str:
    """A field of BibTeX without its braces, accents as letters have them."""
    accents = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303"}
    text = re.sub(r"\\(['`\"^~])\{?(\w)\}?", lambda found: found.group(2) + accents[found.group(1)], bibtex)
    return unicodedata.normalize("NFC", re.sub(r"[{}]", "", text))


def _from_here(file: str) -> str:
    return relpath(place_of(file), FOLDER)


def _title(page: str) -> str:
    folder = page.split("/")[-2]
    name = Path(page).stem if folder == "experiments" else folder
    return name.replace("_", " ")
