"""``python -m bench``, and one sentence where it cannot begin."""

import sys
from importlib.util import find_spec

# A machine that has torch but no registry lacks these; `make wheels` downloads them.
NEEDED = {"msgspec": "msgspec", "tomli_w": "tomli-w", "filelock": "filelock"}


def main() -> None:
    """Run the command line; exit code 2 where a package is missing."""
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        print(  # noqa: T201
            f"teleport-bench: expected the packages {', '.join(NEEDED.values())}; this Python "
            f"lacks {', '.join(missing)}: pip install {' '.join(missing)}, or where there is no "
            "registry, take along the folder .wheels that `make wheels` fills (see .ci/cuda)",
            file=sys.stderr,
        )
        sys.exit(2)
    from bench.errors import RegistrationError

    try:
        from bench.cli.app import main as run  # its help lists what is registered
    except RegistrationError as error:
        print(f"teleport-bench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    run()


if __name__ == "__main__":
    main()
