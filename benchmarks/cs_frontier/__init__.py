"""What regularisers of compressed sensing take from skin and weak tubes for the noise that they take."""
