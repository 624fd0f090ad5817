from .folded import FoldedResNet as FoldedResNet
from .folded import fold as fold
from .rewrite import FusedResNet as FusedResNet
from .rewrite import fuse as fuse

__all__ = ["FoldedResNet", "FusedResNet", "fold", "fuse"]
