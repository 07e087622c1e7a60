"""What a trained model can still gain: settings chosen on its validation, measured on folds that did not choose."""
