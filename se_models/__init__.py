"""ResNets with Squeeze-and-Excitation in every placement.

Names load on first use: ``se_models.config`` must cost no import of torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
