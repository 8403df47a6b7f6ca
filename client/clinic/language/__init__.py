"""The languages of the page: what people read is in the reader's language, what programs read in English."""
