"""Commands of ``nnunet-tricks``: one module each, with ``add_arguments`` and ``run``."""
