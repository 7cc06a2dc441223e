"""Commands that measure: a sweep, a training experiment, a profile."""
