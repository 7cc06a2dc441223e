"""Multi-task gradients: how they are combined, and when they conflict (Zhou et al., 2503.04046)."""
