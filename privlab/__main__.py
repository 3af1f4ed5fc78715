"""``python -m privlab``: see `privlab.cli`."""

import sys

from privlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
