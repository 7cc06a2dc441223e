"""``python -m bench.experiments NAME...``: carry them out, a line of JSON for each as it ends."""

import sys

if __name__ == "__main__":
    from bench.experiments.carrying import carry_out

    carry_out(sys.argv[1:], sys.stdout.buffer)
