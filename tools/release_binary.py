"""The release binary, for scripts that take --qconvert."""
import os
import subprocess
import sys


def release_binary(given):
    """The binary given, or the one of this checkout, built first."""
    if given:
        return os.path.abspath(given)
    subprocess.run(["swift", "build", "-c", "release", "--product", "qconvert"], check=True, stdout=sys.stderr)
    shown = subprocess.run(["swift", "build", "-c", "release", "--show-bin-path"], check=True, capture_output=True, text=True)
    return os.path.join(shown.stdout.strip(), "qconvert")
