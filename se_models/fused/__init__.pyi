from .folded import FoldedResNet as FoldedResNet
from .folded import fold as fold
from .graph import CapturedForward as CapturedForward
from .graph import capture as capture
from .rewrite import FusedResNet as FusedResNet
from .rewrite import fuse as fuse

__all__ = ["CapturedForward", "FoldedResNet", "FusedResNet", "capture", "fold", "fuse"]
