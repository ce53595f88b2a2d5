# SPDX-License-Identifier: Apache-2.0
"""The audit stage says whether images are rendered, whatever a choice of data is called."""

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from support import ROOT

from facetell.common.files import write_json
from pipeline import paths
from pipeline.audit import described
from pipeline.settings import Settings

ALL = sorted(path.stem for path in (ROOT / "conf/data").glob("*.yaml"))
RENDERED = {"demo": ["demo"], "demo_sets": ["demo", "demo_subtle"], "mix": ["demo"]}
RESULTS = {  # of the split stage
    "groups": {"number": 1, "rule": "persons that the set names"},
    **{"effective": {}, "contradictions": 0, "copies": 0, "warnings": []},
}


def said(*overrides: str) -> dict:
    """What metrics/data.json says of one training image of each set."""
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        config = compose("config", overrides=list(overrides))
    data = Settings.of(OmegaConf.to_container(config, resolve=True)).data
    columns = {"split": "train", "label": 0, "platform": "presocial", "laundered": False}
    manifest = pd.DataFrame({"set": list(data.sets), "person": list(data.sets)} | columns)
    return described(manifest, data)


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths.SET_ASIDE.parent.mkdir()
    paths.SET_ASIDE.write_text("set,path,reason\n")
    paths.LEAKS.write_text("kind,split,id,other_split,other_id,detail\n")
    write_json(paths.FILES, RESULTS)


@pytest.mark.parametrize("data", ALL)
def test_rendered_sets_are_known_in_every_choice_of_data(data):
    found = said(f"data={data}")
    names = RENDERED.get(data, [])
    number = len(found["sets"])
    assert found["rendered"] == {"images": len(names), "of": number, "sets": names}


def test_the_name_of_the_data_does_not_matter():
    assert said("data=demo", "data.name=photos")["rendered"]["images"] == 1
    assert said("data=folder", "data.name=demo")["rendered"]["images"] == 0
    both = said("data=mix", "data/set=[faces140k,demo_subtle]", "data.name=faces140k")
    assert both["rendered"] == {"images": 1, "of": 2, "sets": ["demo_subtle"]}
