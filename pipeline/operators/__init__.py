"""What a node does: closures around closures, one module a family."""
