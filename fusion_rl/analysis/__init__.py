"""Reading runs: frames, sentences and figures, for notebooks and the command line."""
