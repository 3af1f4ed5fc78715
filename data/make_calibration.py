"""Write privlab/calibration.csv: the noise multipliers shipped for the default settings.

Run it after changing `TABLE_SETTINGS`, an ε list, the search in privlab/accounting.py, or the
version of dp-accounting; it takes about a second for each setting:

    python data/make_calibration.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privlab import accounting


def main() -> None:
    """Search the noise for every setting and ε afresh, and write the table."""
    lines = [accounting.table_version(), "sampling_rate,steps,delta,epsilon,noise_multiplier"]
    epsilons = np.union1d(accounting.EPSILON_POSITIONS, accounting.EPSILON_GRID).tolist()
    for rate, steps, delta in accounting.TABLE_SETTINGS:
        for epsilon in epsilons:
            sigma = accounting.search(epsilon, rate, steps, delta)
            lines.append(f"{rate!r},{steps},{delta!r},{epsilon!r},{sigma!r}")
    path = Path(accounting.__file__).with_name(accounting.TABLE_NAME)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(lines) - 2} noise multipliers, {lines[0][2:]}")


if __name__ == "__main__":
    main()
