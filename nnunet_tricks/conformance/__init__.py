"""The conformance harness: does a trainer work in every situation that nnU-Net can put it in?

``grid`` lists the situations, and ``tiny_data`` makes a small nnU-Net data set for each. ``steps`` are what a trainer
goes through; ``bench`` runs them in a sandbox and records their ``outcome``. ``learning`` (with the ``loss_calls`` of a
trainer), ``resumed``, ``pickling`` and ``prediction`` find trainings that go wrong without an error.

Three checks need no situation: ``contract`` (what the class alone shows), ``ranks`` (the loss in two processes) and
``baseline`` (what a trick does not claim is as in ``nnUNetTrainer``).
"""
