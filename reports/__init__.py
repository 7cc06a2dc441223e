"""How a run looks: CSV tables and one HTML page, made from a run directory."""

from reports.report import tables_of, write_report

__all__ = ["tables_of", "write_report"]
