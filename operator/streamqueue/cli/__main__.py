"""What the installed programs call, and `python3 -m streamqueue.cli`."""

import sys


def main() -> None:
    try:
        from streamqueue.cli.main import main as program  # takes some tenths of a second, in which people press Ctrl-C

        program()
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "streamqueue":
            raise
        sys.exit(f"streamqueue: {error.name} is not installed: pip install 'streamqueue[cli]'")


if __name__ == "__main__":
    main()
