"""A pytest plugin: programs that a test starts with `sys.executable` run on the emulated processor.

QEMU emulates one process: what that starts runs on the processor that there is.
"""

import os
import sys

if interpreter := os.environ.get("EMULATED_PYTHON"):
    sys.executable = interpreter
