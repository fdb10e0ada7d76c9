"""`comparison.html`: the report of a comparison as one web page."""

from simtrain.comparison.report.page import report_page, write_report

__all__ = ["report_page", "write_report"]
