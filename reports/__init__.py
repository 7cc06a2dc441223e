"""How a run looks: CSV tables and one HTML page, made from a run directory."""

from reports.text.backend import unread_backend

with unread_backend():
    from reports.report import tables_of, write_report
    from reports.two_runs.page import write_comparison

__all__ = ["tables_of", "write_comparison", "write_report"]
