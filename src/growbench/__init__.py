"""GrowBench: reproduce and compare methods that grow a trained Transformer into a bigger one."""

__version__ = "0.1.0"
