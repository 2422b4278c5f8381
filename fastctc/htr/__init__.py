"""Reading handwriting: a small convolutional and recurrent network, its training data, its training, its reader."""
