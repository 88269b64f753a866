"""What goes into a pack, one module per question."""
