"""`comparison.html`: what a comparison of encoders found, to be read and looked at."""

from simtrain.comparison.report.page import write_report

__all__ = ["write_report"]
