"""Lets stock nnU-Net find what nnunet_tricks offers, after its own search has found nothing.

'nnunet-tricks link' copies this file into site-packages as _nnunet_tricks_link.py and has Python run install() at every
start; 'nnunet-tricks unlink' undoes it. Where nnunet_tricks is gone already, delete _nnunet_tricks_link.py,
nnunet_tricks_link.pth and nnunet_tricks_link.start by hand; until then they do nothing.
"""

# Every start of Python pays for this file, so it imports only what is loaded already, and it may never raise.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_TRAINERS = "nnunetv2.training.nnUNetTrainer"
_FOLDERS = "nnUNet_extTrainer"
_LEFT_BEHIND = (
    f"{__file__} asks nnunet_tricks, which is not installed: install it, or delete that file "
    "and nnunet_tricks_link.* beside it."
)


def install() -> None:
    """Wait for nnU-Net's finder modules; nothing happens in a process that never imports them.

    Safe to call again: Python 3.15 reads the site-packages of a virtual environment twice.

    Examples:
        >>> before = list(sys.meta_path)
        >>> install(), install()
        (None, None)
        >>> [type(finder).__name__ for finder in sys.meta_path if finder not in before] in ([], ["NnunetTricksLink"])
        True
        >>> sys.meta_path[:] = before
    """
    if all(type(finder).__name__ != NnunetTricksLink.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, NnunetTricksLink())


class NnunetTricksLink:
    """Finds no module itself: has nnU-Net's finder modules wrapped as soon as they have run."""

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """What the other finders say, for the modules that we wait for; ``None`` for all others."""
        wrap = _WRAPPERS.get(name)
        if wrap is None:
            return None
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            spec = find_spec(name, path, target) if find_spec and finder is not self else None
            if spec is not None:
                _then(spec.loader, wrap)
                return spec
        return None


def _then(loader: "Any", wrap: "Callable[[ModuleType], None]") -> None:
    """Have ``wrap`` called with the module that ``loader`` has run."""
    try:
        run = loader.exec_module

        def exec_module(module: "ModuleType") -> None:
            run(module)
            wrap(module)

        # On the instance: replacing the loader would hide its source, resources and type from everybody else.
        loader.exec_module = exec_module
    except AttributeError:
        pass  # an unusual loader, to which nothing can be added: nnU-Net stays as it is


def _wrap_trainer_finder(module: "Any") -> None:
    """For nnU-Net 2.8 and later, where a user's own folders are searched too, before us."""
    from functools import wraps

    find = getattr(module, "recursive_find_trainer_class_by_name", None)
    if find is None:
        return

    @wraps(find)
    def recursive_find_trainer_class_by_name(trainer_name: str, *args: "Any", **kwargs: "Any") -> "Any":
        try:
            return find(trainer_name, *args, **kwargs)
        except RuntimeError as error:
            if not _is_own_failure(error, module.__name__):
                raise
            found, refusal, note = _ask(_TRAINERS, trainer_name)
            if found is not None:
                return found
            if refusal:
                raise RuntimeError(refusal) from error
            if note:
                error.args = (f"{error}\n{note}",)
            raise

    module.recursive_find_trainer_class_by_name = recursive_find_trainer_class_by_name


def _wrap_class_finder(module: "Any") -> None:
    """For everything but trainers, and for trainers where a caller does not know the newer finder."""
    from functools import wraps

    find = getattr(module, "recursive_find_python_class", None)
    if find is None:
        return

    @wraps(find)
    def recursive_find_python_class(*args: "Any", **kwargs: "Any") -> "Any":
        found = find(*args, **kwargs)
        # A call by nnU-Net's own finders is one step of a search that goes on.
        if found is not None or sys._getframe(1).f_globals.get("__name__") in _WRAPPERS:
            return found
        _, name, place = (*args, None, None, None)[:3]
        name, place = kwargs.get("class_name", name), kwargs.get("current_module", place)
        found, refusal, note = _ask(place, name)
        if place == _TRAINERS and (found is not None or refusal) and os.environ.get(_FOLDERS):
            try:
                from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
            except ImportError:
                pass  # nnU-Net 2.7 has no such folders
            else:
                return recursive_find_trainer_class_by_name(name)
        if refusal:
            raise RuntimeError(refusal)
        if note:
            print(note, file=sys.stderr)
        return found

    module.recursive_find_python_class = recursive_find_python_class


_WRAPPERS = {
    "nnunetv2.utilities.find_objects": _wrap_trainer_finder,
    "nnunetv2.utilities.find_class_by_name": _wrap_class_finder,
}


def _is_own_failure(error: BaseException, module: str) -> bool:
    """Whether ``module`` itself raised ``error``, rather than something that it imported on its way."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == module


def _ask(place: "str | None", name: "str | None") -> "tuple[Any, str, str]":
    """Ask nnunet_tricks for ``name``, which nnU-Net did not find in ``place``.

    Returns:
        What it has or ``None``; why it refuses the name, if it does; what went wrong on its side, if anything did.
    """
    if not place or not place.startswith("nnunetv2."):
        return None, "", ""
    try:
        from nnunet_tricks.door.kinds import answer

        return (*answer(place, str(name)), "")
    except Exception as problem:
        # Whatever is wrong with us: nnU-Net goes on as if we were not there, and says what it was.
        missing = problem.name if isinstance(problem, ModuleNotFoundError) else None
        if missing and "nnunet_tricks.door.kinds".startswith(missing):
            return None, "", f"({_LEFT_BEHIND})"
        return None, "", f"(nnunet_tricks could not be asked for {name}: {type(problem).__name__}: {problem})"
