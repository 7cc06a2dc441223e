"""The process that measures: ``python -m bench.worker`` speaks JSON lines on its pipes."""
