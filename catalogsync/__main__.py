"""``python -m catalogsync``."""

from catalogsync.cli import main

if __name__ == "__main__":
    main()
