"""``penchant practice``: write the losses by hand, one exercise after the other."""

from __future__ import annotations

import sys
from pathlib import Path


def practice(
    exercise: str | None = None,
    *,
    folder: Path = Path("practice"),
    hint: bool = False,
    reveal: bool = False,
    interview: float | None = None,
) -> None:
    """Practise writing the losses: a folder of files to fill in, graded in growing order. Works offline.

    Run it once to lay out the files, fill in the first, and run it again.

    Parameters
    ----------
    exercise
        The exercise to grade; the first unsolved one when left out.
    folder
        Where the files and the progress are kept.
    hint
        Show the next hint.
    reveal
        Show the answers of what is wrong.
    interview
        Pick an exercise at random and start the clock: so many minutes to solve it.
    """
    from penchant.cli.idle import refuse_idle
    from penchant.errors import InputError
    from penchant.whiteboard import practice as room

    if interview is not None and not 0 < interview < 1000:
        raise InputError("--interview takes minutes, above 0", got=str(interview))
    if interview is not None:
        refuse_idle({exercise or "": exercise}, "is given with --interview, which picks one", "Leave it out")
    fresh = not folder.exists()
    progress = room.start(folder)
    if interview is not None:
        chosen = room.interview(folder, progress, interview)
        print(f"{chosen.name}: {chosen.doc.splitlines()[0]}")
        print(f"Fill in {folder / chosen.name}.py within {interview:g} minutes,")
        print(f"then run: penchant practice {chosen.name} --folder {folder}")
        return
    wanted = exercise or next(iter(progress.interview), None)
    found = room.exercise(wanted) if wanted else room.current(progress)
    if found is None:
        print("All exercises are solved. Try penchant practice --interview 10.")
        return
    if hint:
        print(room.hint(folder, progress, found))
        return
    if fresh:
        print(f"The exercises are in {folder}. Fill in {folder / found.name}.py and run penchant practice again.")
        return
    verdict, standing = room.attempt(folder, progress, found)
    print(verdict.as_text(reveal))
    print(f"\n{standing}")
    if verdict.exit_code:
        sys.exit(verdict.exit_code)
