"""What a made picture, or a network, is like."""
