"""The fast path: twins of ResNets for inference. ``fuse(model)``, and ``fold(model)`` beside it.

Names load on first use, as those of ``se_models`` do.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
