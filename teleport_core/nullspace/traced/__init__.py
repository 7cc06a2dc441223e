"""The fast engine for any module."""
