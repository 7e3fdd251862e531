"""One thread for everyone, then the command line: libraries read these variables when they are imported."""

import os

from benchmarks.timing import ONE_THREAD

os.environ.update(ONE_THREAD)

if __name__ == "__main__":
    from benchmarks.command import main

    main()
