"""Equations 1 to 7, further terms, the conventions of other systems; the same in strips of rows."""
