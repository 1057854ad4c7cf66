"""Archives: frames, packs, manifests, members and entries; stored, checked, and given back. Formats in DESIGN.md."""
