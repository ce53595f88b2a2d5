# SPDX-License-Identifier: Apache-2.0
"""Parameter randomisation: the order, the copy, the seeds; correlations against oracles."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from facetell.common.errors import UserError
from facetell.explain.trust.sanity import cascade, compare, rank_correlation, similarity, stages
from facetell.models import build
from facetell.models.detector import Detector


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.arange(6.0))
        self.first = nn.Conv2d(3, 4, 3)
        self.body = nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)


def test_stages_go_from_the_logits_down():
    assert stages(Net()) == ["head", "body.1", "body.0.0", "first"]
    whole = Detector(build("resnet50", image_size=64), (0.5,) * 3, (0.5,) * 3)
    names = stages(whole)
    assert names[0] == "network.fc"
    assert names[1] == "network.layer4.2"
    assert names[-2:] == ["network.bn1", "network.conv1"]


def test_cascade_changes_a_copy_from_the_top_and_nothing_else():
    model = Net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    changed = []
    for _, copied in cascade(model, seed=3):
        now = copied.state_dict()
        changed.append({n.rpartition(".")[0] for n, v in now.items() if (v != before[n]).any()})
    assert changed[0] == {"head"}
    assert changed[2] == {"head", "body.0.0"}  # batch norm starts as ones and zeros, as it was
    assert changed[3] == {"head", "body.0.0", "first", ""}
    assert sorted(now["place"].tolist()) == before["place"].tolist()
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    assert (torch.random.get_rng_state() == state).all()


def test_stops_skip_steps_but_not_parts():
    model = Net()
    every = [(name, copied.head.weight.clone(), copied.first.weight.clone())
             for name, copied in cascade(model, seed=0)]  # fmt: skip
    some = [(name, copied.head.weight.clone(), copied.first.weight.clone())
            for name, copied in cascade(model, stops=["body.1", "first"], seed=0)]  # fmt: skip
    assert [name for name, *_ in some] == ["body.1", "first"]
    for one, other in zip(some, (every[1], every[3]), strict=True):
        assert (one[1] == other[1]).all()
        assert (one[2] == other[2]).all()
    with pytest.raises(UserError, match="no part 'body'"):
        next(cascade(model, stops=["body"], seed=0))


def test_cascade_is_seeded():
    model = Net()

    def last(seed: int) -> torch.Tensor:
        for _, copied in cascade(model, seed=seed):
            weight = copied.first.weight.clone()
        return weight

    assert (last(0) == last(0)).all()
    assert (last(0) != last(1)).any()


def test_every_parameter_is_drawn_anew_in_the_end():
    for key in ("swin", "vit"):
        torch.manual_seed(0)
        narrow = {"width": 1 / 12, "patch_size": 8} if key == "vit" else {}
        model = build(key, image_size=64, **narrow)
        for value in model.parameters():  # no parameter may look drawn anew by chance
            nn.init.uniform_(value, 5, 6)
        *_, (_, copied) = cascade(model, seed=0)
        for (name, one), other in zip(model.named_parameters(), copied.parameters(), strict=True):
            assert (one != other).any(), name


def test_unknown_parts_list_the_valid_ones():
    with pytest.raises(UserError, match="head, body"):
        next(cascade(Net(), stops=["fc"], seed=0))


def test_rank_correlation_is_scipys():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, (2, 4, 6, 6)).astype(float)  # with ties
    found = rank_correlation(one, other)
    for row in range(4):
        expected = spearmanr(one[row].ravel(), other[row].ravel()).statistic
        assert found[row] == pytest.approx(expected)
    assert rank_correlation(one, 3 * one + 1) == pytest.approx(np.ones(4))
    assert np.isnan(rank_correlation(one[:1], np.zeros((1, 6, 6)))).all()


def test_ssim_is_the_formula_in_every_window():
    one, other = np.random.default_rng(1).uniform(-1, 1, (2, 1, 9, 8))
    one[0, 0, 0] = other[0, 0, 0] = 1.0  # the scale is the largest value
    windows = [
        np.lib.stride_tricks.sliding_window_view(maps[0], (7, 7)).reshape(-1, 49)
        for maps in (one, other)
    ]
    values = []
    for x, y in zip(*windows, strict=True):
        cross = ((x - x.mean()) * (y - y.mean())).mean()
        top = (2 * x.mean() * y.mean() + 0.0004) * (2 * cross + 0.0036)
        below = (x.mean() ** 2 + y.mean() ** 2 + 0.0004) * (x.var() + y.var() + 0.0036)
        values.append(top / below)
    assert similarity(one, other) == pytest.approx(np.mean(values))
    assert similarity(one, 5 * one) == pytest.approx(1)
    assert similarity(one[:, :4, :4], one[:, :4, :4]) == pytest.approx(1)  # a window of 3
    assert np.isnan(similarity(one[:, :2, :2], one[:, :2, :2]))  # no window fits
    zero = np.zeros((1, 9, 8))
    assert similarity(zero, zero) == pytest.approx(1)


def test_compare_tells_sign_from_place():
    one = np.random.default_rng(2).normal(size=(2, 8, 8))
    found = compare(one, -one)
    assert found["spearman"] == pytest.approx(-np.ones(2))
    assert found["spearman_absolute"] == pytest.approx(np.ones(2))
