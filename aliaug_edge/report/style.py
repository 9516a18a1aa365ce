"""The report's style sheet. Pictures enlarge when clicked, by a hidden checkbox: no script."""

CSS = """
:root { --ink: #1d1d1f; --muted: #6e6e73; --line: #e3e3e0; --paper: #fcfcfa; --card: #fff;
  --good: #2f7d4f; --bad: #b3362b; --warn: #9a6700; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 18px; }
h2 { font-size: 20px; letter-spacing: -0.01em; margin: 52px 0 6px; padding-top: 18px;
  border-top: 1px solid var(--line); }
h3 { font-size: 16px; margin: 30px 0 8px; }
p { margin: 6px 0 14px; max-width: 78ch; }
.muted, figcaption, .caption { color: var(--muted); }
nav { margin: 20px 0 0; display: flex; flex-wrap: wrap; gap: 6px 18px; }
nav a { color: #2b5c91; text-decoration: none; }
nav a:hover { text-decoration: underline; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 22px; margin: 0; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
.sample { margin: 0 0 26px; }
.sample > header { margin-bottom: 8px; font-size: 13px; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 14px;
  align-items: start; }
.pictures.real { grid-template-columns: repeat(6, minmax(0, 1fr)); }
.pictures.strip { grid-template-columns: minmax(0, 1fr); }
.pictures.strip img { max-height: none; }
figure { margin: 0; }
figure label { display: block; cursor: zoom-in; }
figure img { display: block; width: 100%; height: auto; max-height: 260px; object-fit: contain;
  object-position: left top; border-radius: 3px; }
figure img.small, figure input:checked + img { image-rendering: pixelated; }
figure input { position: absolute; opacity: 0; }
figure input:focus-visible + img { outline: 3px solid #3b6ea5; }
figure input:checked + img { position: fixed; inset: 0; z-index: 9; width: 100vw; height: 100vh;
  max-height: none; padding: 24px; background: rgba(20, 20, 22, 0.94); object-position: center;
  cursor: zoom-out; border-radius: 0; }
figcaption { font-size: 12.5px; margin-top: 4px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 14px; margin: 10px 0 18px; }
th { text-align: right; font-weight: 600; color: var(--muted); border-bottom: 1.5px solid #cfcfca;
  padding: 6px 10px; white-space: nowrap; }
td { text-align: right; border-bottom: 1px solid var(--line); padding: 6px 10px; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr.total td { font-weight: 600; border-bottom: 1.5px solid #cfcfca; }
.wide { overflow-x: auto; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 18px; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px 6px; }
.chart h4 { margin: 0 0 4px; font-size: 14px; display: flex; justify-content: space-between; }
.chart h4 span { font-weight: 400; color: var(--muted); font-variant-numeric: tabular-nums; }
svg { display: block; max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg .grid { stroke: #e9e9e5; }
svg .tick { fill: var(--muted); font-size: 11px; }
svg polyline { fill: none; stroke-linejoin: round; }
svg .raw { opacity: 0.35; stroke-width: 1; }
svg .mean { stroke-width: 2; }
svg .in { fill: #fff; text-anchor: middle; }
svg .sum { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 8px 0 14px; font-size: 13px; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px;
  margin-right: 6px; vertical-align: -1px; }
.legend i.thin { height: 3px; vertical-align: 3px; border-radius: 0; width: 18px; }
.verdict { font-weight: 600; }
.banner { border-left: 5px solid var(--muted); background: var(--card); border-radius: 4px;
  padding: 12px 18px; margin: 18px 0; font-size: 16px; }
.banner b { display: block; font-size: 20px; }
.banner.passed { border-color: var(--good); } .banner.failed { border-color: var(--bad); }
.banner.warned { border-color: var(--warn); }
.banner p { color: var(--ink); margin: 4px 0 0; }
.passed { color: var(--good); } .failed { color: var(--bad); } .warned { color: var(--warn); }
ol.commands { padding-left: 24px; margin: 10px 0; }
ol.commands li { margin: 7px 0; color: var(--muted); }
code { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--ink);
  overflow-wrap: anywhere; white-space: pre-wrap; }
.tally { display: flex; height: 14px; border-radius: 4px; overflow: hidden; min-width: 160px;
  background: #eee; }
.tally b { display: block; }
footer { margin-top: 60px; color: var(--muted); font-size: 13px; border-top: 1px solid var(--line);
  padding-top: 14px; }
@media (max-width: 760px) { .pictures, .pictures.real { grid-template-columns: repeat(2, 1fr); } }
@media print { h2 { break-after: avoid; } .sample { break-inside: avoid; } }
"""
