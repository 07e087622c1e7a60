cd /work/stems
nproc; uptime
