"""A CycleGAN between two tiny data sets, from the command line to a raw data set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from PIL import Image
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn import functional

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.tricks.synthesis.discriminator import AdversarialLoss, patch_discriminator
from nnunet_tricks.tricks.synthesis.pool import ImagePool
from nnunet_tricks.tricks.synthesis.translation.cycle_gan import CycleGan, CycleTraining
from nnunet_tricks.tricks.synthesis.translation.data_set import MANIFEST, TranslatedDataSet
from nnunet_tricks.tricks.synthesis.translation.generator import ResNetGenerator
from nnunet_tricks.tricks.synthesis.translation.grey_values import RawGreyValues
from nnunet_tricks.tricks.synthesis.translation.pair import DataSetPair
from nnunet_tricks.tricks.synthesis.translation.place import TranslationFacts
from nnunet_tricks.tricks.synthesis.translation.translator import Translator

CPU = torch.device("cpu")
OTHER = "Dataset990_Other"
NEW = "950"


@dataclass(frozen=True)
class TwoDataSets:
    """A tiny data set, and a copy of it under another name, which tests can change.

    Attributes:
        folders: nnU-Net's folders.
        name: Full name of the first one.
        configuration: Configuration of both.
    """

    folders: Folders
    name: str
    configuration: str

    def pair(self) -> DataSetPair:
        return DataSetPair.of(self.name, OTHER, self.configuration, "0")

    def facts(self, **settings: Any) -> TranslationFacts:
        return self.pair().facts(**{"steps": 4, "width": 2, "blocks": 1, **settings})

    def change(self, dataset: str, file: str, **values: Any) -> None:
        path = self.folders.preprocessed / dataset / file
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    def command(self, *words: str, expect: int = 0, other: str = OTHER) -> None:
        settings = ("--steps", "1", "--width", "2", "--blocks", "1", "--device", "cpu")
        place = ("-f", "0", "-c", self.configuration, "--to", NEW)
        assert main(["ganaug", "translate", self.name, other, *place, *settings, *words]) == expect

    @property
    def written(self) -> Path:
        return self.folders.raw / f"Dataset{NEW}_{self.name.partition('_')[2]}_as_Other"


Make = Callable[[bool], TwoDataSets]


@pytest.fixture
def make(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    def made(flat: bool) -> TwoDataSets:
        data = bench.data("labels", flat=flat)
        places = [tmp_path / part for part in ("raw", "preprocessed", "results")]
        for variable, place in zip(("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"), places, strict=True):
            monkeypatch.setenv(variable, str(place))
        for source, place in zip((data.raw, data.preprocessed), places[:2], strict=True):
            for name in (data.name, OTHER):
                shutil.copytree(source, place / name)
        return TwoDataSets(Folders(*places), data.name, "2d" if flat else "3d_fullres")

    return made


def _millions(network: nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3)


def test_the_networks_have_as_many_parameters_as_the_published_program_prints() -> None:
    with torch.device("meta"):
        assert _millions(ResNetGenerator(channels=3, blocks=9)) == 11.378
        assert _millions(patch_discriminator(3, norm="INSTANCE", bias=True)) == 2.765


def test_the_adversarial_loss_is_torchs_squared_error() -> None:
    outputs = torch.randn(2, 1, 5, 5)
    for real in (True, False):
        expected = functional.mse_loss(outputs, torch.full_like(outputs, float(real)))
        torch.testing.assert_close(AdversarialLoss("least_squares")([outputs], real=real), expected)


def test_an_image_is_always_translated_alike() -> None:
    generator = ResNetGenerator(channels=1, blocks=1, width=2)
    image = torch.rand(1, 1, 21, 3) * 2 - 1
    translated = generator(image)
    assert translated.shape == image.shape
    assert translated.abs().max() <= 1
    assert torch.equal(generator(image), translated)


def test_a_pool_hands_out_older_images_half_of_the_time() -> None:
    torch.manual_seed(0)
    pool = ImagePool(5)
    new = torch.arange(2005.0).reshape(-1, 1, 1, 1, 1)
    given = [float(pool.exchange(image)) for image in new]
    assert given[:5] == [0, 1, 2, 3, 4]
    older = sum(value < number for number, value in enumerate(given))
    assert binomtest(older, 2000, 0.5).pvalue > 0.01
    # An older image is handed out once, but for those of the beginning, which the discriminator saw at once.
    assert len(set(given[5:])) == 2000
    assert len(pool.images) == 5


class Brighter(nn.Module):
    """Multiplies grey values."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor


@pytest.mark.parametrize(("factor", "error"), [(1.0, 0.0), (2.0, 0.375)])
def test_a_way_back_leaves_no_cycle_error_and_an_identity_no_error_at_all(
    factor: float, error: float, make: Make
) -> None:
    gan = CycleGan(make(True).facts(), CPU)
    gan.forth, gan.back = Brighter(factor), Brighter(1 / factor)  # type: ignore[assignment]
    row = gan.step(torch.full((1, 3, 32, 32), 0.5), torch.full((1, 3, 32, 32), 0.5))
    assert row["cycle"] == 0
    # Both should leave images of the look that they draw as they are: |2 * 0.5 - 0.5| and |0.5 / 2 - 0.5|, halved.
    assert row["identity"] == error
    assert len(gan.pools[0].images) == len(gan.pools[1].images) == 1


def test_it_is_interrupted_and_goes_on_as_if_nothing_had_been(make: Make) -> None:
    world = make(True)
    pair, facts = world.pair(), world.facts()

    def training() -> CycleTraining:
        begun = CycleTraining(pair, facts, CPU)
        for pool in begun.gan.pools:
            pool.size = 1  # so that images are exchanged
        return begun

    whole = training()
    assert len(list(whole.run(save_every=2))) == 4
    expected = [weight.clone() for network in whole.gan.networks.values() for weight in network.parameters()]
    shutil.rmtree(pair.place.folder)
    interrupted = training().run(save_every=2)
    for _ in range(3):  # one step after the checkpoint
        next(interrupted)
    interrupted.close()
    again = training()
    assert again.gan.step_number == 2
    assert len(list(again.run(save_every=2))) == 2
    weights = [weight for network in again.gan.networks.values() for weight in network.parameters()]
    assert all(map(torch.equal, weights, expected))
    assert again.gan.rows == whole.gan.rows
    assert pair.place.facts() == again.gan.noted()
    with Image.open(pair.place.gallery) as picture:
        assert picture.width < picture.height


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.*")) if file.is_file()}


def test_labels_are_the_same_and_no_validation_case_is_read(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """All files are the same when those of all other cases, and the other data set's labels, are gone."""
    world = make(True)
    cases = world.pair().source.names
    world.command("--dry-run")
    assert "Would write 2 translated cases" in capsys.readouterr().out
    assert not world.written.exists()
    assert not world.pair().place.folder.exists()
    world.command()
    before = _contents(world.written)
    files = {f"{part}/{case}{end}" for case in cases for part, end in (("imagesTr", "_0000.png"), ("labelsTr", ".png"))}
    assert set(before) - {"dataset.json", MANIFEST, "annotated.json"} == files
    for case in cases:
        label = world.folders.raw / world.name / "labelsTr" / f"{case}.png"
        assert before[f"labelsTr/{case}.png"] == label.read_bytes()
    manifest = json.loads(before[MANIFEST])
    assert (manifest["translated_from"], manifest["look_of"], manifest["settings"]["steps"]) == (world.name, OTHER, 1)
    assert sorted(manifest["cases"]) == sorted(manifest["other_cases"]) == sorted(cases)
    world.command(expect=2)
    assert "--replace writes it anew" in capsys.readouterr().err
    for place in (world.folders.raw, world.folders.preprocessed):
        for file in [*(place / world.name).rglob("case_*"), *(place / OTHER).rglob("case_*")]:
            if not file.name.startswith(cases) or (place / OTHER / "labelsTr") in file.parents:
                file.unlink()
    world.command("--restart", "--replace", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["begun_at"], told["step"], told["folder"]) == (0, 1, str(world.written))
    after = _contents(world.written)
    # Checkpoints are archives with names and times, so their hash may differ.
    assert {**after, MANIFEST: b""} == {**before, MANIFEST: b""}
    assert not [*world.folders.raw.glob(".*partial")]


def _translated(world: TwoDataSets, grey: RawGreyValues | None = None) -> RawGreyValues:
    """Write the data set with a generator that changes nothing."""
    data = TranslatedDataSet(world.folders, world.pair(), int(NEW), replace=world.written.is_dir())
    known = grey or RawGreyValues.of(data.pair.other, data.other)
    facts = world.facts()
    translator = Translator(replace(facts, other_ranges=facts.ranges), nn.Identity(), "none", CPU)
    assert len([*data.write(translator, known)]) == 2
    return known


def test_volumes_come_back_to_their_grid_with_the_grey_values_of_the_other_data_set(make: Make) -> None:
    world = make(False)
    # Only one case of the other data set, whose raw values are other ones and whose z-scores are the same.
    splits = [{"train": ["case_0"], "val": ["case_1", "case_2"]}]
    (world.folders.preprocessed / OTHER / "splits_final.json").write_text(json.dumps(splits))
    raw = {case: world.folders.raw / world.name / "imagesTr" / f"{case}_0000.nii.gz" for case in ("case_0", "case_1")}
    images = {case: SimpleITK.ReadImage(str(file), SimpleITK.sitkFloat32) for case, file in raw.items()}
    SimpleITK.WriteImage(images["case_0"] * 3 + 100, str(world.folders.raw / OTHER / "imagesTr" / raw["case_0"].name))
    grey = _translated(world)
    values = {case: SimpleITK.GetArrayFromImage(image) for case, image in images.items()}
    written = {case: SimpleITK.ReadImage(str(world.written / "imagesTr" / file.name)) for case, file in raw.items()}
    for case, image in written.items():
        for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert np.allclose(getattr(image, part)(), getattr(images[case], part)())
    drawn = {case: SimpleITK.GetArrayFromImage(image) for case, image in written.items()}
    # This case was not resampled: all values but the darkest and brightest, which a GAN cuts off, are exact.
    exact = np.isclose(drawn["case_0"], values["case_0"] * 3 + 100, atol=0.05)
    assert exact.mean() > 0.98
    assert np.corrcoef(drawn["case_1"].ravel(), values["case_1"].ravel())[0, 1] > 0.9
    assert not grey.has_rim
    rim = values["case_0"] == 0
    assert rim.any()
    assert not (drawn["case_0"][rim] == 0).any()
    # Where images of the other data set have a black rim, that of an image stays black.
    _translated(world, replace(grey, black=0.5))
    darker = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(world.written / "imagesTr" / raw["case_0"].name)))
    assert np.array_equal(darker, np.where(rim, 0, drawn["case_0"]))


def test_volumes_are_translated_slice_by_slice(make: Make) -> None:
    world = make(False)
    world.command("--steps", "1")
    translator = Translator.trained(world.pair().place, CPU)
    image = torch.rand(1, 4, 20, 24)
    whole = translator(image)
    assert torch.equal(translator(image[:, 2:3]), whole[:, 2:3])
    assert not torch.equal(whole[:, :1], whole[:, 2:3])


def test_what_cannot_be_translated_is_refused(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    world = make(True)

    def refused(sentence: str, *words: str, other: str = OTHER) -> None:
        world.command(*words, expect=2, other=other)
        assert sentence in capsys.readouterr().err

    refused("name another one, whose look", other=world.name)
    refused("--blocks must be at least 1, got 0", "--blocks", "0")
    channels = {"0": "R", "1": "G"}
    world.change(OTHER, "dataset.json", channel_names=channels)
    refused("has 3 channels, and Dataset990_Other has 2")
    world.change(OTHER, "dataset.json", channel_names={**channels, "2": "infrared"})
    refused("has the channels R, G, B, and Dataset990_Other has R, G, infrared")
    world.change(OTHER, "dataset.json", channel_names={**channels, "2": "b"})
    world.command("--dry-run")
    refused(f"number 990 is taken by {world.folders.raw / OTHER}", "--to", "990")
    plans = json.loads((world.folders.preprocessed / OTHER / "nnUNetPlans.json").read_text())
    planned = plans["configurations"]["2d"]
    schemes = [*planned["normalization_schemes"][:2], "OurNormalization"]
    world.change(OTHER, "nnUNetPlans.json", configurations={"2d": {**planned, "normalization_schemes": schemes}})
    refused("channel 2 of Dataset990_Other is normalised by OurNormalization")
    world.change(OTHER, "nnUNetPlans.json", configurations={"2d": planned}, image_reader_writer="SimpleITKIO")
    refused("has pictures, and Dataset990_Other has volumes")
    world.change(OTHER, "nnUNetPlans.json", image_reader_writer=plans["image_reader_writer"])
    world.change(OTHER, "nnUNetPlans.json", configurations={"2d": {**planned, "spacing": [2.0, 2.0]}})
    world.command()
    assert "warning: pixels of slices are 1 x 1" in capsys.readouterr().err
    refused("holds a GAN with steps 1, and now steps is 2", "--replace", "--steps", "2")
    (world.written / MANIFEST).unlink()
    refused("was not made by 'ganaug translate'", "--replace")
    shutil.rmtree(world.written)
    world.pair().place.checkpoint.write_bytes(b"")
    refused("is damaged or of another version")
    label = world.folders.raw / world.name / "labelsTr" / "case_0.png"
    label.unlink()
    refused("has no raw images with label maps of case_0")
    shutil.rmtree(world.folders.raw / OTHER)
    label.touch()
    refused("translating needs its raw images, too")
