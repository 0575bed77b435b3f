"""`python -m wallpaint` is `python studio.py`."""

import sys

from studio import main

sys.exit(main())
