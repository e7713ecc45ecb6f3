"""Makes the normalised network from a folder of pictures; takes the options of `nst-jax weights normalise`."""

import sys

from nst_jax.cli import main

sys.exit(main(["weights", "normalise", *sys.argv[1:]]))
