"""How much of a painting counts where it is laid over the photo: `python tests/bench/bench_smooth.py --limit 60`.

Evaluates an arm with `recolor.SMOOTH` at several shares of the long side. Of 60 repaints of the test rooms `color`
erred by 11.5, 11.5, 11.3 and 11.3 at 0.06, 0.12, 0.25 and 0.5; the truth through the VAE by 6.1, 6.5, 7.0 and 7.3.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from wallpaint.paths import ROOT
from wallpaint.pixels import recolor
from wallpaint.report.evaluate import evaluate


def main() -> None:
    """Print a line a share: it, the arm's mean error, the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=Path, default=ROOT / "assets" / "rooms" / "test")
    parser.add_argument("--arm", default="color")
    parser.add_argument("--limit", type=int, default=60, help="repaints")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.06, 0.12, 0.25, 0.5])
    args = parser.parse_args()
    for share in args.shares:
        recolor.SMOOTH = share
        with tempfile.TemporaryDirectory() as folder:
            summary = evaluate(args.rooms, [args.arm], args.limit, Path(folder) / "out", say=lambda line: None)
        error = summary["arms"][args.arm]["delta_e_truth"]["mean"]
        print(f"{share:g}: {args.arm} {error:.1f}, floor {summary['floor']['vae_round_trip_delta_e']:.1f}", flush=True)


if __name__ == "__main__":
    main()
