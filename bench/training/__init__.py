"""What a training experiment is: its settings, its arms, its trials and when they teleport."""
