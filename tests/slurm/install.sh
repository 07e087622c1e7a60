#!/usr/bin/env bash
# Debian's and Ubuntu's SLURM, where it can be installed; says why where not. No daemon is started or left enabled.
set -euo pipefail
missing=""
for name in slurmctld slurmd sbatch munged; do
    command -v "$name" >/dev/null || missing=$name
done
test -n "$missing" || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "SLURM is not installed, and apt-get as root is not there to do it: its tests are skipped"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge; } >/dev/null 2>&1; then
    echo "apt-get cannot install SLURM here: its tests are skipped"
fi
