"""The HTML report of a study, from the files of its run folder."""
