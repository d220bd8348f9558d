"""The Jupyter SQL kernel: protocol and display. No SQL logic here: it asks the runner."""
