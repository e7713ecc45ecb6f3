"""Figure 3 of the paper as a run folder; takes the options of `nst-jax figure 3`, e.g. `scripts/fig3.py -o figure3`."""

import sys

from nst_jax.cli import main

sys.exit(main(["figure", "3", *sys.argv[1:]]))
