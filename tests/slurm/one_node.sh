#!/usr/bin/env bash
# A SLURM of one node, this machine, for tests: one_node.sh start|stop FOLDER
# Needs Debian's slurmctld, slurmd, slurm-client and munge, and root. No accounting, no cgroups, no systemd.
set -euo pipefail
action=$1 folder=$2

stop() {
    # Jobs first: what is left of them would confuse the next SLURM.
    timeout 20 scancel --user root || true
    for _ in $(seq 40); do
        test -z "$(timeout 20 squeue --noheader || true)" && break
        sleep 0.5
    done
    for name in slurmd slurmctld munged; do
        pid=$(cat "$folder/$name.pid" 2>/dev/null || true)
        test -n "$pid" || continue
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 40); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.5
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
}

# Steps of jobs look for the configuration there only.
usual=/etc/slurm/slurm.conf
if [ "$action" = stop ]; then
    stop
    if [ "$(readlink "$usual" || true)" = "$folder/slurm.conf" ]; then rm "$usual"; fi
    exit
fi

if [ -e "$usual" ]; then
    echo "there is a SLURM on this machine already: $usual" >&2
    exit 1
fi
umask 022
mkdir -p "$folder/state" "$folder/spool"
host=$(hostname -s)
cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmUser=root
ReturnToService=2
KillWait=10
MinJobAge=300
SchedulerParameters=sched_interval=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 * 9 / 10)) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=1-0 State=UP
CONF

# A key and a socket of its own, so that a munge that is there already is left alone.
head -c 1024 /dev/urandom >"$folder/munge.key"
chmod 0400 "$folder/munge.key"
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munged.seed"
mkdir -p /etc/slurm
ln -sf "$folder/slurm.conf" "$usual"
slurmctld
slurmd
for _ in $(seq 60); do
    if sinfo --noheader --format=%t 2>/dev/null | grep -q idle; then
        exit 0
    fi
    sleep 0.5
done
echo "the node does not become idle:" >&2
tail -n 20 "$folder"/*.log >&2
"$0" stop "$folder"
exit 1
