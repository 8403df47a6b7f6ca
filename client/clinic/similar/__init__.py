"""The nearest confirmed cases of this clinic."""
