"""`nadenoise study readers`: Images ranked blind by readers."""
