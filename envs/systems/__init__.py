"""Systems of items beyond the plain one: perishable stock, shared capacity.

A system is one file to copy. `perishable.py` is the model: its state and outcome (NamedTuples), its pure step function,
and its `System`, which says what the rest of the package needs to know. Its parameters are fields of `ItemParams`, and
`core.period.system_of` chooses it by them; or a dataclass that is a `System` itself, as `networks.Network` is, and then
nothing has to choose. A case in `envs.conformance` puts it on trial, an entry in `gym.catalogue` gives it a name, and
`gym.encoders.make_encoder` what an agent reads and does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
