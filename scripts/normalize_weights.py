"""Makes the normalized network from a folder of pictures; takes the options of `nst-jax weights normalize`."""

import sys

from nst_jax.cli import main

sys.exit(main(["weights", "normalize", *sys.argv[1:]]))
