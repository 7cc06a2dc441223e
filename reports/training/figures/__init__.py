"""Figures of training experiments."""
