"""From an image file to the array that the model sees: decoding, resize, BM3D, CLAHE, the cache."""
