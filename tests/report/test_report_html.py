import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from aliaug_edge.imaging import encode_png
from aliaug_edge.report import ReportData, render_report
from aliaug_edge.report.data import ClassPictures, Curve, Picture, PictureRow
from aliaug_edge.report.parity import parity_rows, tolerance_text
from aliaug_edge.report.svg import line_chart, stacked_bars

NASTY = '<script>alert("x")</script>&'
VOID = {"meta", "img", "input"}


class Balanced(HTMLParser):
    """Fails on tags that do not match; collects what refers to elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v for k, v in attrs if k in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, _attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(html: str) -> Balanced:
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    return parser


def picture(title="good", width=5, height=4):
    png = encode_png(np.zeros((height, width, 3), dtype=np.uint8))
    return Picture(png, width, height, title)


def full(text="crack") -> ReportData:
    stages = [
        {"stage": s, "mean_ms": 1.5, "p50_ms": 1.0, "p90_ms": 2.0, "p95_ms": 2.0, "p99_ms": 2.0}
        | {"max_ms": 3.0, "cov_percent": None, "gflop": None, "gflops": None}
        | {"share_of_peak": 0.25 if s == "generator" else None, "count": 10}
        for s in ("read", "preprocess", "encode", "unet", "decode", "generator", "blend", "write")
    ]
    engine = {"spec": text, "name": text, "version": None, "threads": 1, "peak_gflops_f32": 60.0}
    engine |= {"stages": stages, "images_per_s": 9.0, "batches": []}
    return ReportData(
        title=text,
        facts=((text, text),),
        classes=(
            ClassPictures(
                text,
                (PictureRow(text, text, (picture(text), picture("mask", 300, 200))),),
                (picture(text),),
            ),
        ),
        counts={text: {"kept": 3, "rejected": 1, "failed": 0}},
        reasons=((text, 1),),
        curves=(Curve(text, ((1, 0.5), (2, 0.25))),),
        strips=(picture(text),),
        parity={
            "verdict": text,
            "tolerance": {"max_grey": 1, "psnr_db": 60},
            "rows": [{"tensor": text, "size": [8, 8], "seed": 0, "max_abs": 1e-6}],
        },
        profile={
            "size": [128, 128],
            "machine": {text: text},
            "engines": [engine],
            "peak_rss_mib": None,
            "warnings": [text],
        },
        commands=(text,),
        provenance={text: {text: [text]}},
        notes=(text,),
    )


def test_the_file_is_self_contained_and_well_formed():
    parser = parsed(render_report(full()))
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in parser.links)
    assert not parser.tags & {"script", "link", "iframe", "object"}
    assert "url(" not in render_report(full())


def test_everything_that_is_shown_is_escaped():
    html = render_report(full(NASTY))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    parsed(html)


def test_a_file_name_that_is_no_text_is_shown_escaped():
    html = render_report(full("part_\udcff.png"))
    assert r"part_\udcff.png" in html
    parsed(html)


def test_equal_data_give_equal_text():
    assert render_report(full()) == render_report(full())


def test_pictures_are_embedded_bit_by_bit():
    data = full()
    uris = re.findall(r'src="data:image/png;base64,([^"]+)"', render_report(data))
    assert base64.b64decode(uris[1]) == data.classes[0].rows[0].pictures[0].png


def test_links_lead_to_sections_that_are_there():
    html = render_report(full())
    anchors = re.findall(r'<a href="#([^"]+)"', html)
    assert len(anchors) == 7
    assert all(f'id="{anchor}"' in html for anchor in anchors)


def test_what_is_not_there_leaves_no_empty_section():
    html = render_report(ReportData(title="nothing"))
    assert "<h2" not in html
    parsed(html)


def test_what_is_not_known_is_a_dash_never_none_or_nan():
    body = re.sub(r'src="[^"]*"', "", render_report(full()).split("</style>")[1])
    assert "None" not in body and not re.search(r"\bnan\b", body, re.IGNORECASE)
    assert "<td>–</td>" in body
    assert "<td>25 %</td>" in body


def test_parity_shows_the_worst_over_all_seeds():
    rows = [
        {"tensor": "generated", "size": [64, 64], "seed": s, "max_abs": a, "psnr_db": p}
        | {"max_grey": g}
        for s, a, p, g in ((0, 1e-6, 90.0, 0), (1, 5e-3, 61.0, 1), (2, 2e-6, 80.0, 0))
    ]
    (row,) = parity_rows({"tolerance": {"max_grey": 1, "psnr_db": 60}, "rows": rows})
    assert row.cells == ("generated", "64 × 64", "3", "5.00e−3", "61.0", "1")
    assert row.verdict == "passed"


@pytest.mark.parametrize(("grey", "psnr"), [(2, 80.0), (0, 59.0)])
def test_parity_out_of_tolerance_is_failed(grey, psnr):
    rows = [{"tensor": "generated", "size": [8, 8], "max_grey": grey, "psnr_db": psnr}]
    (row,) = parity_rows({"tolerance": {"max_grey": 1, "psnr_db": 60}, "rows": rows})
    assert row.verdict == "failed"


def test_tensors_that_are_no_pixels_are_not_judged_by_pixel_limits():
    rows = [{"tensor": "latent", "size": [8, 8], "max_abs": 3.0, "psnr_db": 20.0}]
    (row,) = parity_rows({"tolerance": {"max_grey": 1, "psnr_db": 60}, "rows": rows})
    assert row.verdict == "–"


def test_the_tolerance_is_said_in_words():
    said = tolerance_text({"tolerance": {"psnr_db": 60, "max_grey": 1}})
    assert "at most 1 grey levels" in said and "PSNR of at least 60 dB" in said
    assert tolerance_text({}) == ""


@pytest.mark.parametrize(
    "values",
    [[1.0, 1.0], [0.0, 0.0, 0.0], [-3.0, 2.0], [1e-6, 1.0, 300.0], [5e8, 6e8]],
)
def test_charts_stay_inside_their_frame(values):
    svg = line_chart(Curve("loss", tuple(enumerate(values))), "#000", width=300, height=150)
    for points in re.findall(r'points="([^"]+)"', svg):
        for x, y in (map(float, point.split(",")) for point in points.split()):
            assert 0 <= x <= 300 and 0 <= y <= 150
    parsed(svg)


def test_bars_are_on_one_scale():
    svg = stacked_bars([("a", [("read", 1.0), ("write", 3.0)]), ("b", [("read", 2.0)])])
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', svg)]
    assert widths[1] == pytest.approx(3 * widths[0], abs=0.2)
    assert widths[2] == pytest.approx(2 * widths[0], abs=0.2)


def test_bars_of_nothing_do_not_divide_by_zero():
    parsed(stacked_bars([("a", [("read", 0.0)])]))
