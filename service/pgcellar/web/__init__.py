"""What every HTTP face shares: base handler, error → status map, health. No business rules."""
