"""How a run looks: CSV tables and one HTML page, made from a run directory."""

from reports.report import write_report

__all__ = ["write_report"]
