"""The reader study: images of a case ranked blind by readers, and the analysis of their ranks."""
