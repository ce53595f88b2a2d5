# SPDX-License-Identifier: Apache-2.0
"""The real client of the Hugging Face Hub against a server on this machine; nothing leaves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.detectors import saved
from support.hub import COMMITS, Hub, serving

from facetell.app.card import write_card
from facetell.app.detector import Detector
from facetell.common.errors import UserError
from facetell.models import hub

REPO = "someone/detector"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("card")
    write_card(saved(home / "mine.safetensors"), home / "repo", repo=REPO)
    return home / "repo"


@pytest.fixture
def server(monkeypatch, folder) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    older = files | {hub.WEIGHTS: saved(folder.parent / "old.safetensors", seed=1).read_bytes()}
    content = {COMMITS["main"]: files, COMMITS["v1"]: older}
    with serving(Hub(REPO, "models", content)) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


def downloaded(served: Hub) -> int:
    return sum(call.endswith(hub.WEIGHTS) for call in served.calls)


def test_a_detector_of_the_hub(server, tmp_path, folder):
    found = Detector.from_pretrained(REPO, cache_dir=tmp_path)
    assert found.card == Detector.load(folder / hub.WEIGHTS).card
    path = hub.download(REPO, cache_dir=tmp_path)
    assert path.read_bytes() == (folder / hub.WEIGHTS).read_bytes()
    assert tmp_path in path.parents


def test_a_revision(server, tmp_path, folder):
    for revision in ("v1", COMMITS["v1"]):
        path = hub.download(REPO, revision=revision, cache_dir=tmp_path)
        assert path.read_bytes() == (folder.parent / "old.safetensors").read_bytes()


def test_without_a_connection_what_was_downloaded_is_used(server, tmp_path, monkeypatch):
    first = hub.download(REPO, cache_dir=tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read when imported
    assert hub.download(REPO, cache_dir=tmp_path) == first
    with pytest.raises(UserError, match="was not downloaded before, and the Hub cannot be reached"):
        hub.download(REPO, cache_dir=tmp_path / "other")


def test_a_folder(folder):
    assert hub.download(folder) == folder / hub.WEIGHTS
    assert Detector.from_pretrained(str(folder)).card.network == "simplenet"


@pytest.mark.parametrize(
    ("repo", "revision", "says"),
    [
        ("someone/else", None, "there is no model someone/else on the Hub, nor a folder"),
        (REPO, "v9", "someone/detector has no revision v9"),
        ("mine.safetensors", None, "no such folder, and it is no owner/name .* Detector.load"),
        ("some/where/else", None, "no such folder"),
    ],
)
def test_what_is_not_there(server, tmp_path, repo, revision, says):
    with pytest.raises(UserError, match=says) as caught:
        hub.download(repo, revision=revision, cache_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_folders_of_something_else(tmp_path, folder):
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        hub.download(tmp_path)
    with pytest.raises(UserError, match="a revision is of a repository"):
        hub.download(folder, revision="v1")


def test_closed_broken_and_cut_off(server, tmp_path):
    server.gated = True
    with pytest.raises(UserError, match="open only to those who accept its terms"):
        hub.download(REPO, cache_dir=tmp_path)
    server.gated, server.broken = False, True
    with pytest.raises(UserError, match="the Hub gave an error"):
        hub.download(REPO, cache_dir=tmp_path)
    server.broken = False


def test_a_download_that_is_cut_off_leaves_nothing_and_is_done_again(server, tmp_path, folder):
    server.cut_off = True
    with pytest.raises(UserError, match="run this again") as caught:
        hub.download(REPO, cache_dir=tmp_path)
    assert "\n" not in str(caught.value)
    server.cut_off = False
    path = hub.download(REPO, cache_dir=tmp_path)
    assert path.read_bytes() == (folder / hub.WEIGHTS).read_bytes()


@pytest.mark.parametrize("config", [b'{"library_name": "timm"}', b"[]", b"{", None])
def test_models_of_others_are_not_downloaded(server, tmp_path, config):
    files = server.files[COMMITS["main"]]
    if config is None:
        del files[hub.CONFIG]
    else:
        files[hub.CONFIG] = config
    with pytest.raises(UserError, match="is no detector of facetell") as caught:
        hub.download(REPO, cache_dir=tmp_path)
    assert "\n" not in str(caught.value)
    assert downloaded(server) == 0


def test_weights_that_are_none(tmp_path):
    (tmp_path / "text.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"text\.safetensors is not a weights file of facetell"):
        hub.write_folder(tmp_path / "repo", tmp_path / "text.safetensors", "# Card")
    assert not (tmp_path / "repo").exists()


def test_upload(server, tmp_path, folder):
    (folder / "notes.txt").write_bytes(b"private")
    files = server.files[COMMITS["main"]] = {}
    try:
        assert hub.upload(folder, REPO, token="hf_x") == f"{server.address}/{REPO}"
    finally:
        (folder / "notes.txt").unlink()
    assert set(files) == {hub.WEIGHTS, hub.CONFIG, hub.README}
    assert files[hub.WEIGHTS] == (folder / hub.WEIGHTS).read_bytes()
    assert Detector.from_pretrained(REPO, cache_dir=tmp_path).card.network == "simplenet"


def test_upload_without_the_right(server, folder):
    server.gated = True
    with pytest.raises(UserError, match=r"hf auth login|gave an error"):
        hub.upload(folder, REPO, token="hf_x")
    with pytest.raises(UserError, match="is no owner/name"):
        hub.upload(folder, "mine")
