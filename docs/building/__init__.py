"""What of the site is made while it is built."""
