"""Figure 1 of the paper as a run folder; takes the options of `nst-jax figure 1`, e.g. `scripts/fig1.py -o figure1`."""

import sys

from nst_jax.cli import main

sys.exit(main(["figure", "1", *sys.argv[1:]]))
