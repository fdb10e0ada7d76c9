"""The public functions of `simtrain`, one for each verb of the command line, which calls them too."""
