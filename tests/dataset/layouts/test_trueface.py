# SPDX-License-Identifier: Apache-2.0
"""TrueFace from names alone: class, generator, psi, platform, stem and split."""

import random
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from facetell.common.errors import UserError
from facetell.dataset.layouts import rows as completed
from facetell.dataset.layouts.trueface import rows

PRE = "TrueFace/TrueFace_PreSocial"
POST = "TrueFace/TrueFace_PostSocial"
BOTH = ("Real/FFHQ/69999.png", "Fake/StyleGAN/seed9999.png")  # rows() wants both classes


def archive(*names: str) -> SimpleNamespace:
    return SimpleNamespace(names=sorted(names), label="trueface.zip")


def read(*names: str) -> pd.DataFrame:
    return rows(archive(*names)).set_index("path")


def one(name: str, *others: str) -> pd.Series:
    """What is read from one name."""
    return read(name, *(others or BOTH)).loc[name]


def published() -> list[str]:
    """A small copy of the set: 14 photos, seeds 0 to 9 of each generator at two psi."""
    names = [f"{PRE}/Real/FFHQ/{number:05d}.png" for number in range(14)]
    for folder in ("StyleGAN/images-psi-0.5", "StyleGAN/images-psi-0.7"):
        names += [f"{PRE}/Fake/{folder}/seed{seed:04d}.png" for seed in range(10)]
    for folder in ("StyleGAN2/conf-f-psi-0.5", "StyleGAN2/conf-f-psi-1"):
        names += [f"{PRE}/Fake/{folder}/seed{seed:04d}.png" for seed in range(10)]
    for network, end in (("Facebook", "FB.jpg"), ("Telegram", "TL.jpeg"), ("Twitter", "TW.jpg")):
        names += [f"{POST}/{network}/0_Real/FFHQ/{number:05d}_{end}" for number in range(10)]
        for folder in ("StyleGAN/images-psi-0.7", "StyleGAN2/conf-f-psi-1"):
            names += [f"{POST}/{network}/1_Fake/{folder}/{seed:05d}_{end}" for seed in range(5)]
    return names


def test_the_published_tree():
    table = read(*published())
    counts = table.groupby(["platform", "label"]).size().to_dict()
    shared = {(name, label): 10 for name in ("facebook", "telegram", "twitter") for label in (0, 1)}
    assert counts == {("presocial", 0): 14, ("presocial", 1): 40, **shared}
    assert set(table["generator"][table["label"] == 0]) == {""}
    fakes = table[table["label"] == 1].groupby(["generator", "psi"]).size().to_dict()
    assert fakes == {
        **{("stylegan", 0.5): 10, ("stylegan", 0.7): 25},
        **{("stylegan2", 0.5): 10, ("stylegan2", 1.0): 25},
    }
    assert (table["split"] == "").all()
    assert (table["person"] == table["stem"]).all()
    assert table["stem"].nunique() == 14 + 10 + 10
    copies = table[table["stem"] == "stylegan2-00003"]
    assert len(copies) == 2 + 3  # at two psi, and on three networks
    assert set(table["ffhq_id"].dropna()) == set(range(14))
    assert (table["ffhq_id"].isna() == (table["label"] == 1)).all()


def test_the_frame_suits_the_caller():
    table = completed("trueface", archive(*published()))
    assert len(table) == len(published())
    assert str(table["ffhq_id"].dtype) == "Int32"
    assert set(table["regions"]) == {""}


def test_several_archives_are_told_apart_by_their_name():
    table = read(
        "TrueFace_PostSocial_Facebook/Real/FFHQ/00001_FB.jpg",
        "TrueFace_PostSocial_Twitter/Fake/StyleGAN2/00001.jpg",
        "TrueFace_PreSocial_StyleGAN2_psi0.5/seed0001.png",
    )
    assert table["platform"].tolist() == ["facebook", "twitter", "presocial"]
    assert table["label"].tolist() == [0, 1, 1]
    assert table["stem"].tolist() == ["ffhq-00001", "stylegan2-00001", "stylegan2-00001"]
    assert table["psi"].tolist()[1:] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("Real", 0),
        ("0_real", 0),
        ("REAL/00000", 0),
        ("FFHQ", 0),
        ("RealImages", 0),
        ("Fake", 1),
        ("1_FAKE", 1),
        ("StyleGAN2", 1),
        ("Real_and_Fake/Fake", 1),
        ("Fake/Real", 0),
        ("Fake/stylegan2-ffhq-config-f", 1),
        ("stylegan2-ffhq", 1),
        ("Real/FFHQ/StyleGAN-crops", 0),
    ],
)
def test_class_by_folder(folder, label):
    others = ("Real/1.png",) if label else BOTH
    assert one(f"x/{folder}/00007.png", *others)["label"] == label


@pytest.mark.parametrize(
    ("folder", "generator"),
    [
        ("StyleGAN", "stylegan"),
        ("StyleGAN1", "stylegan"),
        ("stylegan_1", "stylegan"),
        ("StyleGAN-psi-1.0", "stylegan"),
        ("StyleGAN-0.7", "stylegan"),
        ("StyleGAN_20k", "stylegan"),
        ("StyleGAN_training", "stylegan"),
        ("StyleGAN2", "stylegan2"),
        ("stylegan-2", "stylegan2"),
        ("StyleGAN_V2", "stylegan2"),
        ("style gan 2", "stylegan2"),
        ("STYLEGAN2", "stylegan2"),
        ("stylegan2-ada", "stylegan2-ada"),
        ("StyleGAN2ADA", "stylegan2-ada"),
        ("StyleGAN3", "stylegan3"),
        ("stylegan3-t", "stylegan3-t"),
        ("StyleGAN/stylegan2", "stylegan2"),
    ],
)
def test_generator_by_folder(folder, generator):
    found = one(f"Fake/{folder}/seed0012.png")
    assert found["generator"] == generator
    assert found["stem"] == f"{generator}-00012"


@pytest.mark.parametrize(
    ("name", "psi"),
    [
        ("images-psi-0.5/seed1.png", 0.5),
        ("images-psi-0.7/seed1.png", 0.7),
        ("conf-f-psi-1/seed1.png", 1.0),
        ("conf-rotation-psi-0p5/seed1.png", 0.5),
        ("psi_0.5/seed1.png", 0.5),
        ("psi1.0/seed1.png", 1.0),
        ("Psi05/seed1.png", 0.5),
        ("psi-1/images-psi-0.5/seed1.png", 0.5),
        ("seed1_psi0.7.png", 0.7),
        ("seed1.png", np.nan),
    ],
)
def test_psi(name, psi):
    found = one(f"Fake/StyleGAN2/{name}")
    np.testing.assert_equal(found["psi"], psi)
    assert found["stem"] == "stylegan2-00001"


def test_real_images_have_no_psi():
    assert np.isnan(one("psi-0.5/Real/00001.png")["psi"])


def test_psi_of_a_shared_fake_is_that_of_its_only_original():
    fakes = f"{PRE}/Fake/StyleGAN"
    shared = [f"{POST}/Facebook/Fake/StyleGAN/0000{seed}_FB.jpg" for seed in range(5)]
    table = read(
        f"{fakes}/images-psi-0.5/seed0000.png",
        f"{fakes}/images-psi-0.5/seed0001.png",
        f"{fakes}/images-psi-0.7/seed0001.png",
        f"{fakes}/images-psi-0.5/seed0003.png",
        f"{fakes}/seed0003.png",  # at a psi that nobody knows
        f"{fakes}/images-psi-0.7/seed0004.png",
        f"{fakes}/images-psi-0.7/copy/seed0004.png",
        BOTH[0],
        *shared,
    )
    np.testing.assert_equal(table["psi"][shared].tolist(), [0.5, np.nan, np.nan, np.nan, 0.7])
    assert np.isnan(table["psi"][f"{fakes}/seed0003.png"])


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("TrueFace_PreSocial/Real/00001.png", "presocial"),
        ("Real/00001.png", "presocial"),
        ("TrueFace_PostSocial/FACEBOOK/Real/00001.jpg", "facebook"),
        ("TrueFace-PostSocial-Telegram/Real/00001.jpg", "telegram"),
        ("PostSocial/FB/Real/00001.jpg", "facebook"),
        ("PostSocial/TL/Real/00001.jpg", "telegram"),
        ("PostSocial/Real/TW/00001.jpg", "twitter"),
        ("PostSocial/X/Real/00001.jpg", "twitter"),
        ("TrueFace_PostSocial_X/Real/00001.jpg", "twitter"),
        ("PostSocial/WhatsApp/Real/00001_WA.jpeg", "whatsapp"),
        ("Facebook/pre-processed/Real/00001.jpg", "facebook"),
        ("PreSocial_and_PostSocial/Twitter/Real/00001.jpg", "twitter"),
        ("Facebook_Telegram_Twitter/Real/00001_TL.jpeg", "telegram"),
        ("PreSocial_and_PostSocial/Real/00001_TW.jpg", "twitter"),
        ("Real/00001_FB.jpg", "facebook"),
        ("Real/00001_tl.JPEG", "telegram"),
        ("Real/00001_Twitter.jpg", "twitter"),
    ],
)
def test_platform(name, platform):
    found = one(name)
    assert found["platform"] == platform
    assert found["stem"] == "ffhq-00001"


def test_the_folder_is_believed_unless_too_many_files_contradict_it():
    right = [f"Facebook/Real/{number:05d}_FB.jpg" for number in range(199)]
    wrong = "Facebook/Real/00500_TW.jpg"
    assert one(wrong, *right, *BOTH)["platform"] == "facebook"
    with pytest.raises(UserError, match=r"2% .* folders of facebook .*00500_TW\.jpg"):
        read(wrong, *right[:60], *BOTH)
    with pytest.raises(UserError, match=r"folders of presocial"):
        read("PreSocial/Real/00001_FB.jpg", *BOTH)


def test_a_shared_image_whose_network_nobody_knows_is_refused():
    with pytest.raises(UserError, match=r"trueface\.zip.*PostSocial/Real/00001\.jpg"):
        read("PostSocial/Real/00001.jpg", *BOTH)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Real/00168.png", "ffhq-00168"),
        ("Real/00000/168.PNG", "ffhq-00168"),
        ("Real/00168 (1).png", "ffhq-00168"),
        ("Real/00168 - Copy.png", "ffhq-00168"),
        ("Real/00168.png.jpg", "ffhq-00168"),
        ("Real/ffhq_00168.png", "ffhq-00168"),
        ("Real/v2_00168.png", "ffhq-00168"),
        ("Real/00168_FB (2).jpg", "ffhq-00168"),
        ("Real/00168 (2)_FB.jpg", "ffhq-00168"),
        ("Real/Portrait_FB.jpg", "ffhq-portrait"),
        ("Real/portrait - Copy.png", "ffhq-portrait"),
        ("Real/portrait.png.jpg", "ffhq-portrait"),
        ("Real/1234567890123.png", "ffhq-1234567890123"),
        ("Real/20240102_030405.png", "ffhq-20240102_030405"),
        ("Fake/StyleGAN/seed12.PNG", "stylegan-00012"),
        ("Fake/StyleGAN/00012_fb.JPG", "stylegan-00012"),
        ("Fake/StyleGAN/000012_TL.jpeg", "stylegan-00012"),
        ("Fake/StyleGAN/SEED_0012.png", "stylegan-00012"),
        ("Fake/StyleGAN2/seed10012.png", "stylegan2-10012"),
        ("./Fake\\StyleGAN2\\seed0012.png", "stylegan2-00012"),
    ],
)
def test_stem(name, stem):
    assert one(name)["stem"] == stem


def test_only_numbers_of_ffhq_are_its_numbers():
    table = read("Real/69999.png", "Real/70000.png", "Real/me.png", BOTH[1])
    assert table["ffhq_id"].dropna().to_dict() == {"Real/69999.png": 69999}


def test_what_is_no_image_of_the_set_is_ignored():
    table = read(
        *BOTH,
        "Real/FFHQ/._00001.png",
        "__MACOSX/Real/FFHQ/00001.png",
        "Real/.thumbs/00001.png",
        "Real/Thumbs.db",
        "Real/.png",
        "Real/00001",
        "Real/00001.txt",
        "README.png",
        "figures/00001.png",
    )
    assert sorted(table.index) == sorted(BOTH)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), r"trueface\.zip has no real and no fake images.*Real or FFHQ.*Fake or StyleGAN"),
        (("a/1.png",), r"no real and no fake"),
        (("Real/1.png",), r"has no fake images"),
        (("Fake/StyleGAN/1.png",), r"has no real images"),
        ((*BOTH, "Fake/00001_FB.jpg"), r"which generator made Fake/00001_FB\.jpg"),
    ],
)
def test_other_sets_are_refused(names, says):
    with pytest.raises(UserError, match=says):
        read(*names)


def test_no_folder_needs_to_name_a_generator():
    found = one("Fake/seed0001.png", "Real/1.png")
    assert found[["generator", "stem"]].tolist() == ["unknown", "unknown-00001"]


def halves(side: str, numbers: range, folder: str = "", end: str = ".png") -> list[str]:
    """Photos and fakes with these numbers, in one half of the set."""
    return [
        f"{side}/{folder}{kind}/{number:05d}{end}"
        for kind in ("Real/FFHQ", "Fake/StyleGAN")
        for number in numbers
    ]


def test_halves_of_the_set_are_its_split():
    table = read(*halves("Training", range(20)), *halves("x_Test", range(20, 25)))
    assert table.groupby("split").size().to_dict() == {"train": 40, "test": 10}
    three = read(
        *halves("Train", range(9)), *halves("Validation", range(9, 12)), *halves("TEST", range(20))
    )
    assert set(three["split"]) == {"train", "valid", "test"}


def test_a_face_goes_where_most_of_its_files_lie():
    table = read(
        *halves("Train", range(10)),
        *halves("Test", range(10, 20)),
        *halves("Test", range(0, 3), "Facebook/", "_FB.jpg"),  # 1 and 1: train
        *halves("Test", range(5, 6), "Facebook/", "_FB.jpg"),
        *halves("Test", range(5, 6), "Twitter/", "_TW.jpg"),  # 1 and 2: test
    )
    side = table.groupby("stem")["split"].unique().map(list)
    assert side["ffhq-00000"] == side["stylegan-00002"] == ["train"]
    assert side["ffhq-00005"] == side["stylegan-00005"] == ["test"]


def test_faces_outside_the_halves_are_drawn_in_their_shares():
    inside = halves("Train", range(30)) + halves("Test", range(30, 40))
    outside = halves("whole", range(10_000, 11_000))
    table = read(*inside, *outside)
    drawn = table.loc[outside, "split"]
    assert 0.22 < (drawn == "test").mean() < 0.28  # a quarter, as inside
    more = read(*inside, *outside, *halves("whole", range(11_000, 11_500)))
    assert more.loc[outside, "split"].equals(drawn)


@pytest.mark.parametrize(
    "names",
    [
        halves("Train", range(5)),
        halves("Test", range(5)),
        halves("Train", range(5)) + halves("Validation", range(5, 9)),
        # every face in both halves: all would be for training
        halves("Train/Facebook", range(5)) + halves("Test/Twitter", range(5)),
        # no fake for testing
        [*halves("Train", range(5)), "Test/Real/FFHQ/00006.png"],
        [*halves("Train", range(5)), *halves("Test", range(5, 9)), "Validation/Real/00010.png"],
        halves("train-test/Train_and_Test", range(5)),
    ],
)
def test_halves_that_are_no_split(names):
    assert (read(*names)["split"] == "").all()


@pytest.mark.parametrize("seed", range(5))
def test_all_files_of_a_face_end_on_one_side(seed):
    rng = random.Random(seed)
    ends = {"PreSocial": "", "Facebook": "_FB", "Telegram": "_TL", "Twitter": "_TW"}
    kinds = ("Real/FFHQ", "Fake/StyleGAN/psi-0.5", "Fake/StyleGAN2/psi-1", "fake/stylegan2")
    sides = ("Train/", "Test/", "", "Validation/")
    names = set()
    for _ in range(600):
        platform = rng.choice(list(ends))
        side = rng.choices(sides, weights=(6, 3, 3, 1))[0]
        name = f"{rng.randrange(60):05d}{ends[platform]}{rng.choice(('.jpg', ' (1).jpg', '.PNG'))}"
        order = rng.choice((f"{side}{platform}", f"{platform}/{side}".rstrip("/")))
        names.add(f"{order}/{rng.choice(kinds)}/{name}")
    table = read(*names)
    assert len(table) == len(names)
    assert set(table["split"]) == {"train", "valid", "test"}
    assert (table.groupby("stem")["split"].nunique() == 1).all()
    assert (table.groupby("stem")[["label", "generator"]].nunique() == 1).all(axis=None)
