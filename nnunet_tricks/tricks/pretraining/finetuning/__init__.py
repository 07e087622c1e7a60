"""How pretrained weights are trained further: frozen, at other learning rates, with kept output layers."""
