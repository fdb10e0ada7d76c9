"""`comparison.html`: the report of a comparison as one web page."""

from simtrain.comparison.report.page import write_report

__all__ = ["write_report"]
