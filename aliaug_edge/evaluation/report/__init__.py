"""The report of an evaluation: its results as one document, as tables, and as one HTML file."""

from aliaug_edge.evaluation.report.document import summarise
from aliaug_edge.evaluation.report.samples import save_goods
from aliaug_edge.evaluation.report.tables import table_markdown, table_text
from aliaug_edge.evaluation.report.write import write_report

__all__ = ["save_goods", "summarise", "table_markdown", "table_text", "write_report"]
