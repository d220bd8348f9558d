"""The snapshot cache: index and storage drivers. Nothing else creates, clones or drops a snapshot."""
