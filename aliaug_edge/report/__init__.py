"""The report: one HTML file that shows a run from training to finished pictures."""

from aliaug_edge.report.collect import collect_report
from aliaug_edge.report.data import ReportData
from aliaug_edge.report.html import render_report

__all__ = ["ReportData", "collect_report", "render_report"]
