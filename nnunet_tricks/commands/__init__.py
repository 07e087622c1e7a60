"""Commands of ``nnunet-tricks``: a module or package each, with ``add_arguments`` and ``run``."""
