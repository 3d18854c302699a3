"""The package behind the study of future aggressive progression of liver cancer."""

__version__ = "0.1.0"
