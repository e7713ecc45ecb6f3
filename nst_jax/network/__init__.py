"""VGG-19, pure; which algorithm a convolution takes on which platform."""
