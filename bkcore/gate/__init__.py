"""The gate: what a key may do. Decided purely (decide), from plain files (access, keys), carried out once (run)."""
