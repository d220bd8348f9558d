"""The snapshot cache: index and storage drivers. Nothing else makes, clones or drops a snapshot."""
