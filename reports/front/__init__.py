"""The first screen: where and when a run was made, four answers, and one figure."""
