"""--check: what is wrong with a dataset, where, and how to mend it."""

import argparse

from wallpaint.dataset.doctor import check_dataset


def run(options: argparse.Namespace) -> int:
    """Say what the dataset doctor finds; 1 when it finds something."""
    findings = check_dataset(options.check)
    for finding in findings:
        print(f"{finding.kind}: {finding}")
    print(f"{len(findings)} findings in {options.check}" if findings else f"nothing to mend in {options.check}")
    return 1 if findings else 0
