"""From a plan to a journal: hands units to a worker and keeps what comes back."""
