from nnunet_tricks.demo.table import as_text


def test_every_class_and_trainer_has_a_row_with_its_difference() -> None:
    text = as_text(
        {
            "nnUNetTrainer_6epochs": {"kidney": {"Dice": 0.9, "IoU": 0.8}, "tumour": {"Dice": 0.0, "IoU": None}},
            "nnUNetTrainerTversky_6epochs": {
                "kidney": {"Dice": 0.85, "IoU": 0.75},
                "tumour": {"Dice": 0.5, "IoU": 0.4},
            },
        }
    )
    words = [line.split() for line in text.splitlines()]
    assert words == [
        ["class", "trainer", "Dice", "IoU"],
        ["kidney", "nnUNetTrainer_6epochs", "0.900", "0.800"],
        ["kidney", "nnUNetTrainerTversky_6epochs", "0.850", "-0.050", "0.750", "-0.050"],
        ["tumour", "nnUNetTrainer_6epochs", "0.000", "-"],
        ["tumour", "nnUNetTrainerTversky_6epochs", "0.500", "+0.500", "0.400"],
    ]


def test_numbers_stand_below_each_other() -> None:
    text = as_text(
        {"A": {"kidney": {"Dice": 0.9}, "cyst": {"Dice": 0.1}}, "B": {"kidney": {"Dice": 1}, "cyst": {"Dice": 0}}}
    )
    columns = {
        line.index(number) for line, number in zip(text.splitlines()[1:], ("0.9", "1.0", "0.1", "0.0"), strict=True)
    }
    assert len(columns) == 1
