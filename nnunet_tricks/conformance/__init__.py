"""The conformance harness: does a trainer hold in every situation that nnU-Net can put it in?

``grid`` says which situations there are, ``tiny_data`` makes a small nnU-Net data set for each, ``sandbox`` shuts
nnU-Net up in temporary folders and threads, ``steps`` is what a trainer goes through, ``bench`` runs the steps and
writes down their ``outcome``. ``learning`` (of what a trainer has ``asked`` its loss), ``resumed``, ``travelling`` and
``prediction`` look for trainings that go wrong without a complaint.

Apart from these stand ``contract`` (what can be seen on the class alone), ``ranks`` (the loss in two processes) and
``baseline`` (what a trick does not claim is as in ``nnUNetTrainer``).
"""
