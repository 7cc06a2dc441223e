"""Comparisons as other programs read them: JSON, Markdown, JUnit XML, pytest-benchmark."""
