"""``python -m penchant``, which ``accelerate launch -m`` needs."""

from penchant.cli import main

main()
