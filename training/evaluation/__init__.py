"""What a denoiser is worth on objects that training never sees."""
