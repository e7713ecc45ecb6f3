"""Figure 2 of the paper as a run folder; takes the options of `nst-jax figure 2`, e.g. `scripts/fig2.py -o figure2`."""

import sys

from nst_jax.cli import main

sys.exit(main(["figure", "2", *sys.argv[1:]]))
