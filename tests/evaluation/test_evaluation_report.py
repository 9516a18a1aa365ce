"""From a run folder of made-up scores to numbers, words and one HTML file."""

import json
import re
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from support import made_up_evaluation
from support.made_up_evaluation import (
    CONDITIONS,
    failed_run,
    run,
    steady,
    write_protocol,
    write_run_folder,
)

from aliaug_edge.errors import DataError
from aliaug_edge.evaluation import resampling
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.store import save_pool
from aliaug_edge.evaluation.report import (
    save_goods,
    summarise,
    table_markdown,
    table_text,
    write_report,
)
from aliaug_edge.evaluation.report.insertions import rejected_path
from aliaug_edge.evaluation.report.tables import comparison_table, level_table, otherwise_table
from aliaug_edge.evaluation.results import load_run, run_path, save_run

VOID = {"meta", "img", "input"}


class Balanced(HTMLParser):
    """Fails on tags that do not match; collects images, links and text."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.images, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.links += [value for key, value in attrs if key == "href"]
        self.images += [value for key, value in attrs if key == "src"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(path) -> Balanced:
    parser = Balanced()
    parser.feed(path.read_text(encoding="utf-8"))
    assert parser.open == []
    return parser


def rows(document) -> dict:
    return {row["name"]: row for row in document["conditions"]}


def tilted(gain, spread=0.0):
    """Ours less classic is `gain` on average, up in half of the groups and down in the others."""

    def score(condition, group, seed):
        sign = 1 if "abcdefgh".index(group[0]) % 2 else -1
        ours = condition == "nas-text-1x"
        return steady("classic" if ours else condition, group, seed) + ours * (gain + sign * spread)

    return score


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Means do not depend on the number of draws, and signs of these intervals do not either."""
    monkeypatch.setattr(resampling, "DRAWS", 400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run_folder(tmp_path_factory.mktemp("whole"))


def test_levels_are_means_over_photos_then_groups(folder):
    found = rows(summarise(folder))
    # steady: 0.5 + 0.01 · (0 … 7) for classic, its last four groups are tear, which dominates
    assert found["classic"]["ap"]["mean"] == pytest.approx(0.535)
    assert found["classic"]["ap_without"]["mean"] == pytest.approx(0.515)
    assert found["classic"]["iou"]["mean"] == pytest.approx(0.2675)
    assert found["classic"]["ap"]["seed_sd"] == pytest.approx(0.0)
    assert found["classic"]["by_class"] == pytest.approx({"pit": 0.515, "tear": 0.555})
    assert found["none"]["pooled"]["auroc"]["mean"] == pytest.approx(0.75)
    assert found["none"]["pooled"]["map50_95"] is None


def test_a_group_with_many_photos_counts_as_one(tmp_path):
    write_protocol(tmp_path, ("classic", "nas-text-1x"), seeds=1, secondary=[])
    for name in ("classic", "nas-text-1x"):
        made = run(name, 0)
        more = [
            image.__class__(**{**image.__dict__, "name": f"more-{n}.png"})
            for image in made.images[:1]
            for n in range(50)
        ]
        save_run(made.__class__(**{**made.__dict__, "images": (*made.images, *more)}), tmp_path)
    assert rows(summarise(tmp_path))["classic"]["ap"]["mean"] == pytest.approx(0.535)


def test_the_seed_spread_stands_apart_from_the_interval(tmp_path):
    write_run_folder(tmp_path, lambda c, g, s: steady(c, g, 0) + (0.1 if s else 0.0))
    level = rows(summarise(tmp_path))["classic"]["ap"]
    assert level["seed_sd"] == pytest.approx(0.1 / 2**0.5, abs=1e-6)
    assert level["by_seed"] == pytest.approx({"0": 0.535, "1": 0.635})


def test_the_primary_difference_its_share_and_its_effect(folder):
    primary = summarise(folder)["primary"]
    assert (primary["a"], primary["b"], primary["verdict"]) == ("nas-text-1x", "classic", "gain")
    assert primary["difference"] == pytest.approx(0.1)
    assert (primary["low"], primary["high"]) == pytest.approx((0.1, 0.1))
    assert primary["relative"] == pytest.approx(0.1 / 0.535, abs=1e-6)
    assert primary["rank_biserial"] == pytest.approx(1.0)
    assert (primary["better"], primary["worse"], primary["groups"]) == (8, 0, 8)


def test_every_condition_is_compared_with_classic_and_holm_counts_them_all(folder):
    found = summarise(folder)["comparisons"]
    kinds = {(row["a"], row["b"]): row["kind"] for row in found}
    assert kinds.pop(("nas-text-1x", "classic")) == "primary"
    assert kinds.pop(("nas-text-1x", "copy-paste-1x")) == "secondary"
    others = {(n, "classic") for n in CONDITIONS if n not in ("classic", "nas-text-1x")}
    assert kinds == dict.fromkeys(others, "further")
    assert {row["family"] for row in found} == {6}
    smallest = min(row["p_value"] for row in found)
    assert min(row["p_holm"] for row in found) == pytest.approx(6 * smallest, abs=1e-5)


def test_synthetic_alone_is_a_share_of_classic(folder):
    (share,) = summarise(folder)["share_of_real"]
    assert share["condition"] == "cas-text-1x"
    assert share["share"] == pytest.approx(0.385 / 0.535, abs=1e-6)


def test_the_test_set_says_who_holds_the_pixels(folder):
    test_set = summarise(folder)["test_set"]
    # pit: 4 groups · 2 photos · 10 pixels; tear: 4 · 2 · 90
    assert [row["share"] for row in test_set["classes"]] == pytest.approx([0.1, 0.9])
    assert test_set["largest_photos_share"] == pytest.approx(270 / 800)
    assert test_set["largest_groups_share"] == pytest.approx(540 / 800)
    assert (test_set["defects"], test_set["goods"], test_set["groups"]) == (16, 2, 8)


def test_the_ratio_sweep_is_in_order(folder):
    curves = summarise(folder)["ratios"]
    assert [p["ratio"] for p in curves["generated, text, feather"]] == [1.0, 2.0]
    assert [p["mean"] for p in curves["generated, text, feather"]] == pytest.approx([0.635, 0.615])
    assert len(curves) == 1  # copy-paste was tried at one ratio


def test_aims_are_judged_by_the_numbers(folder):
    aims = summarise(folder)["aims"]
    assert [aim["reached"] for aim in aims] == [True, True, True, True]
    # +0.1; 0.635/0.555 (copy-paste) = +14 %; 0.635/0.335 = +90 %; 0.385/0.535 = 72 %
    assert [aim["came"].partition(",")[0] for aim in aims][1:] == ["+14 %", "+90 %", "72 %"]
    assert "copy-paste-1x" in aims[1]["aim"]


def test_no_aim_stands_without_an_interval(folder):
    for aim in summarise(folder)["aims"]:
        assert re.search(r"[+−]0\.\d{3} \[[+−]0\.\d{3}, [+−]0\.\d{3}\]$", aim["came"])


def harder_fold(condition, group, seed, fold):
    """Fold 1 is easier than fold 0 by 0.3, whatever was learned."""
    return steady(condition, group, seed) + 0.3 * fold


@pytest.mark.parametrize("lost", ["copy-paste-1x", "none", "cas-text-1x"])
def test_an_aim_compares_on_the_groups_that_both_have(tmp_path, lost):
    write_protocol(tmp_path, folds=2)
    for name in CONDITIONS:
        for seed in (0, 1):
            for fold in (0, 1):
                made = run(name, seed, partial(harder_fold, fold=fold), fold)
                why = {"failed": "no pool", "images": (), "pooled": {}}
                save_run(replace(made, **why) if (name, fold) == (lost, 1) else made, tmp_path)
    document = summarise(tmp_path)
    of_lost = {"copy-paste-1x": 1, "none": 2, "cas-text-1x": 3}[lost]
    # on fold 0 alone, as in test_aims_are_judged_by_the_numbers
    wanted = {"copy-paste-1x": "+14 %", "none": "+90 %", "cas-text-1x": "72 %"}[lost]
    assert document["aims"][of_lost]["came"].startswith(wanted)
    said = f"{lost}: its level is of 8 of 16 groups"
    assert said in table_text(document)
    assert said in parsed(write_report(tmp_path)).text
    assert table_text(document).count("its level is of") == 1


def test_a_primary_result_of_some_groups_says_of_how_many(tmp_path):
    write_run_folder(tmp_path, folds=2)
    for seed in (0, 1):
        lost = replace(failed_run("classic", seed), fold=1)
        save_run(lost, tmp_path)
    assert "It is of 8 of 16 groups." in table_text(summarise(tmp_path))


def test_an_aim_of_one_seed_is_not_judged(tmp_path):
    write_run_folder(tmp_path)
    save_run(failed_run("none", 1), tmp_path)
    assert [aim["reached"] for aim in summarise(tmp_path)["aims"]] == [True, True, None, True]


def test_a_p_is_never_zero(tmp_path, monkeypatch):
    many = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    monkeypatch.setattr(made_up_evaluation, "GROUPS", {"pit": many[:32], "tear": many[32:]})

    def score(condition, group, seed):
        ours = condition == "nas-text-1x"
        return 0.5 + 0.01 * seed + ours * (0.1 + 0.001 * many.index(group))

    write_run_folder(tmp_path, score, ("classic", "nas-text-1x"), secondary=[])
    primary = summarise(tmp_path)["primary"]
    assert 0 < primary["p_value"] < 1e-9
    assert 0 < primary["p_holm"] < 1e-9


@pytest.mark.parametrize(("groups", "seeds", "dashes"), [("a", 2, 2), ("ab", 1, 1), ("ab", 2, 0)])
def test_what_was_not_drawn_has_no_interval(tmp_path, monkeypatch, groups, seeds, dashes):
    monkeypatch.setattr(made_up_evaluation, "GROUPS", {"pit": tuple(groups)})
    write_run_folder(tmp_path, names=("classic", "nas-text-1x"), seeds=seeds, secondary=[])
    document = summarise(tmp_path)
    ((_, _, _, between, with_seeds, *_),) = comparison_table(document["comparisons"])[1]
    assert [between, with_seeds].count("–") == dashes
    assert (level_table(document)[1][0][2] == "–") == (groups == "a")


@pytest.mark.parametrize(
    ("gain", "spread", "verdict", "said"),
    [
        (0.05, 0.02, "Gain shown", "lies above zero"),
        (0.01, 0.10, "Gain not shown", "holds zero"),
        (-0.01, 0.10, "Gain not shown", "holds zero"),
        (-0.05, 0.02, "Loss shown", "lies below zero"),
    ],
)
def test_the_verdict_follows_the_data(tmp_path, gain, spread, verdict, said):
    write_run_folder(tmp_path, tilted(gain, spread), ("classic", "nas-text-1x"), secondary=[])
    text = parsed(write_report(tmp_path)).text
    others = {"Gain shown", "Gain not shown", "Loss shown"} - {verdict}
    assert verdict in text and said in text
    assert not any(other in text for other in others)
    assert verdict in table_text(summarise(tmp_path))


@pytest.mark.parametrize(("groups", "seeds"), [("abcde", 2), ("abcdef", 1)])
def test_too_few_groups_or_seeds_decide_nothing(tmp_path, monkeypatch, groups, seeds):
    monkeypatch.setattr(made_up_evaluation, "GROUPS", {"pit": groups[:3], "tear": groups[3:]})
    write_run_folder(tmp_path, seeds=seeds)
    document = summarise(tmp_path)
    assert document["primary"]["difference"] == pytest.approx(0.1)
    assert document["primary"]["verdict"] == "open"
    assert {aim["reached"] for aim in document["aims"]} == {None}
    said = f"here are {len(groups)} groups and {seeds} seed"
    for text in (parsed(write_report(tmp_path)).text, table_text(document)):
        assert said in text and "No verdict yet" in text
    monkeypatch.setattr(made_up_evaluation, "GROUPS", {"pit": "abc", "tear": "def"})
    assert summarise(write_run_folder(tmp_path / "enough"))["primary"]["verdict"] == "gain"


def test_a_gain_below_the_aim_is_not_reached(tmp_path):
    write_run_folder(tmp_path, tilted(0.03), ("classic", "nas-text-1x"), secondary=[])
    document = summarise(tmp_path)
    assert document["primary"]["verdict"] == "gain"
    assert [aim["reached"] for aim in document["aims"]] == [False, False]


def test_a_quick_run_says_that_it_decides_nothing(tmp_path, folder):
    write_run_folder(tmp_path, quick=True)
    document = summarise(tmp_path)
    for text in (parsed(write_report(tmp_path)).text, table_text(document)):
        assert "decides nothing" in text
    assert "decides nothing" in table_markdown(document)
    assert document["primary"]["verdict"] == "quick"
    assert document["aims"] == []  # none is reached by a run that decides nothing
    assert "decides nothing" not in table_text(summarise(folder))


def test_two_folds_add_their_groups(tmp_path):
    write_run_folder(tmp_path, names=("classic", "nas-text-1x"), folds=2, secondary=[])
    document = summarise(tmp_path)
    assert document["primary"]["groups"] == 16
    assert document["primary"]["difference"] == pytest.approx(0.1)


def test_an_unfinished_run_says_what_is_missing(tmp_path):
    write_run_folder(tmp_path)
    run_path(tmp_path, 0, "nas-text-1x", 0).unlink()
    run_path(tmp_path, 0, "nas-text-1x", 1).unlink()
    document = summarise(tmp_path)
    assert document["primary"]["verdict"] == "open"
    assert [aim["reached"] for aim in document["aims"]] == [None, None, None, True]
    text = parsed(write_report(tmp_path)).text
    assert "No verdict yet" in text
    assert "2 of 12 planned runs not done yet (nas-text-1x)" in text


def test_a_protocol_without_any_run_is_a_report_too(tmp_path):
    write_protocol(tmp_path)
    assert "No verdict yet" in parsed(write_report(tmp_path)).text
    assert summarise(tmp_path)["test_set"]["defects"] == 0


def test_a_missing_seed_is_left_out_of_both_sides(tmp_path):
    write_run_folder(tmp_path, seeds=3)
    run_path(tmp_path, 0, "nas-text-1x", 2).unlink()
    assert summarise(tmp_path)["primary"]["seeds"] == [0, 1]


def test_no_figure_of_a_condition_counts_a_seed_that_a_fold_lacks(tmp_path):
    write_run_folder(tmp_path, seeds=3, folds=2)
    odd = run("nas-text-1x", 2)
    save_run(replace(odd, pooled=dict.fromkeys(odd.pooled, 0.99)), tmp_path)
    run_path(tmp_path, 1, "nas-text-1x", 2).unlink()
    row = rows(summarise(tmp_path))["nas-text-1x"]
    assert row["ap"]["seeds"] == [0, 1]
    assert row["pooled"]["auroc"] == {"mean": 0.75, "seed_sd": 0.0}
    assert row["pooled"]["map50"] is None


def test_a_failed_condition_does_not_lower_the_others_p(tmp_path):
    write_run_folder(tmp_path / "whole")
    write_run_folder(tmp_path / "failed")
    for seed in (0, 1):
        save_run(failed_run("nas-text-2x", seed), tmp_path / "failed")
    whole, failed = (summarise(tmp_path / name)["primary"] for name in ("whole", "failed"))
    assert (failed["p_holm"], failed["family"]) == (whole["p_holm"], whole["family"])


def test_no_p_stands_without_an_effect_size(folder):
    document = summarise(folder)
    for header, lines in (
        comparison_table(document["comparisons"]),
        otherwise_table(document),
    ):
        assert {"effect", "p", "Holm p"} <= set(header)
        assert lines and all("–" not in line for line in lines)


def test_a_failed_run_is_listed_and_not_counted(tmp_path):
    write_run_folder(tmp_path, seeds=3)
    save_run(failed_run("nas-text-1x", 1), tmp_path)
    document = summarise(tmp_path)
    assert [entry["why"] for entry in document["discarded"]] == ["loss is not a number at step 7"]
    assert document["primary"]["seeds"] == [0, 2]
    assert rows(document)["nas-text-1x"]["runs"] == {"planned": 3, "done": 3, "failed": 1}
    text = table_text(document)
    assert "3/3, 1 failed" in text
    assert "Discarded: nas-text-1x, fold 0, seed 1: loss is not a number at step 7" in text


def test_rejected_insertions_are_counted_by_what_failed(tmp_path):
    write_run_folder(tmp_path)
    assert summarise(tmp_path)["insertions"] == []
    path = rejected_path(tmp_path, 0, "text")
    path.parent.mkdir(parents=True)
    reasons = {"a": "empty insertion: 2 of 3", "b": "unreal texture: 5", "c": "empty insertion: 1"}
    path.write_text(json.dumps({"asked": 40, "rejected": reasons}))
    document = summarise(tmp_path)
    assert document["insertions"] == [
        {
            "fold": 0,
            "carrier": "text",
            "asked": 40,
            "kept": 37,
            "rejected": {"empty insertion": 2, "unreal texture": 1},
        }
    ]
    said = "2 empty insertion, 1 unreal texture"
    assert said in table_text(document)
    assert said in parsed(write_report(tmp_path)).text.replace("\u00a0", " ")
    assert "kept all the same" not in table_text(document)
    path.write_text(json.dumps({"asked": 3, "kept": 3, "rejected": reasons}))
    document = summarise(tmp_path)
    assert document["insertions"][0]["kept"] == 3
    assert f"{said} (kept all the same)" in table_text(document)
    path.write_text('{"asked": 40}')
    with pytest.raises(DataError, match=r"rejected\.json is not what was written"):
        summarise(tmp_path)


def test_a_run_that_was_not_planned_is_named_and_not_used(tmp_path):
    write_run_folder(tmp_path)
    save_run(run("classic", 7, tilted(0.4)), tmp_path)
    save_run(run("cutpaste-1x", 0, lambda *_: 1.0), tmp_path)
    document = summarise(tmp_path)
    assert document["strays"] == [
        "runs/fold-0/classic/seed-7.json",
        "runs/fold-0/cutpaste-1x/seed-0.json",
    ]
    assert rows(document)["classic"]["ap"]["mean"] == pytest.approx(0.535)


def test_the_linked_files_give_the_numbers_again(folder):
    row = rows(summarise(folder))["nas-text-1x"]
    by_group: dict[str, list[float]] = {}
    for path in row["files"]:
        for image in load_run(folder / path).images:
            if image.ap is not None:
                by_group.setdefault(image.group, []).append(image.ap)
    again = np.mean([np.mean(values) for values in by_group.values()])
    assert row["ap"]["mean"] == pytest.approx(again)
    write_report(folder)
    assert set(row["files"]) <= set(parsed(folder / "report.html").links)


def test_equal_folders_give_equal_bytes(tmp_path, folder):
    other = write_run_folder(tmp_path / "again")
    for out in (folder, other):
        write_report(out)
    for name in ("results.json", "table.txt", "report.html"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    assert json.loads((other / "results.json").read_text()) == json.loads(
        json.dumps(summarise(other))
    )


def test_what_a_user_named_is_escaped(tmp_path):
    write_run_folder(tmp_path, data={"root": "<script>alert(1)</script>"})
    assert "<script" not in write_report(tmp_path).read_text()


def broken(out, how):
    path = run_path(out, 0, "classic", 0)
    if how == "half a file":
        path.write_text(path.read_text()[:100])
    elif how == "another run":
        path.write_text(run_path(out, 0, "classic", 1).read_text())
    elif how == "no protocol":
        (out / "protocol.json").unlink()
    elif how == "half a protocol":
        (out / "protocol.json").write_text('{"schema": 1}')
    elif how == "another metric":
        write_protocol(out, primary={"metric": "f1", "contrast": ["nas-text-1x", "classic"]})
    else:
        write_protocol(out, secondary=[["nas-text-1x", "nobody"]])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("half a file", "seed-0.json is not a run"),
        ("another run", "expected (0, 'classic', 0)"),
        ("no protocol", "protocol.json cannot be read"),
        ("half a protocol", "data is missing"),
        ("another metric", "primary metric is f1"),
        ("an unknown condition", "does not name two of its conditions"),
    ],
)
def test_broken_files_are_one_line(tmp_path, how, said):
    write_run_folder(tmp_path)
    broken(tmp_path, how)
    with pytest.raises(DataError) as caught:
        write_report(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def pool(out, name, shade, names=("000000", "000001")):
    mask = np.zeros((200, 200), np.uint8)
    mask[90:110, 90:110] = 255
    image = np.full((200, 200, 3), shade, np.uint8)
    save_pool(
        [Photo(f"{name}/{stem}", image, mask, "pit", "a") for stem in names],
        out / "pools/fold-0" / name,
    )


def test_pools_stand_side_by_side_at_the_same_places(tmp_path):
    write_run_folder(tmp_path)
    pool(tmp_path, "copy-paste", 50)
    pool(tmp_path, "generated-text-feather", 90)
    save_goods(tmp_path / "pools/fold-0", {"000000": np.zeros((200, 200, 3), np.uint8)})
    page = parsed(write_report(tmp_path))
    assert "fold 0: copy-paste, generated-text-feather" in page.text
    # good, mask and two made; for the second placement no good photo was kept
    assert len(page.images) == 4 + 3
    assert all(uri.startswith("data:image/png;base64,") for uri in page.images)


def test_without_pictures_no_pixel_gets_in(tmp_path):
    write_run_folder(tmp_path)
    pool(tmp_path, "copy-paste", 50)
    assert parsed(write_report(tmp_path, pictures=False)).images == []


def test_a_damaged_pool_is_one_line(tmp_path):
    write_run_folder(tmp_path)
    pool(tmp_path, "copy-paste", 50)
    (tmp_path / "pools/fold-0/copy-paste/index.json").write_text("[]")
    with pytest.raises(DataError, match=r"index\.json is not the index of a pool"):
        write_report(tmp_path)
