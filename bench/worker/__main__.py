"""``python -m bench.worker``."""

from bench.worker.commands import main

if __name__ == "__main__":
    main()
