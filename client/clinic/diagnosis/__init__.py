"""From an image to a diagnosis, whichever way the image came."""
