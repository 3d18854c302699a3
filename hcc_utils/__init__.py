"""Future extrahepatic metastasis and macrovascular invasion of liver cancer: the study's package."""

__version__ = "0.1.0"
