"""Readers of the official formats, one data set or format a file."""
