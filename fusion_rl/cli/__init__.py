"""The command line: thin commands over functions that Python and the notebooks call too."""
