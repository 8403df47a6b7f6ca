"""Readers of data sets: a folder per class, CSV manifests, COCO, LabelMe."""
