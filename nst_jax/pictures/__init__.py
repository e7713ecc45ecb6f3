"""Picture files to float32 RGB arrays and back."""
