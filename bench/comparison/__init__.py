"""The one room for verdicts: is one side slower than the other?"""
