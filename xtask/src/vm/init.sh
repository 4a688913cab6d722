#!/bin/busybox sh
# The guest's first program, and all that it does. What it says is read by console.rs.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ CRONX_BIN=/bin/cronx
# An emulated CPU is ten times as slow.
export CRONX_ATTACH_ROUNDS=3 CRONX_KILL_ROUNDS=6 CRONX_IDLE_SECONDS=3
export CRONX_SKIPPED=/tmp/skipped CRONX_DEGRADED=/tmp/degraded

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup

echo "VM release $(uname -r)"
if cronx doctor --json >/tmp/doctor; then
    # The kernel hands on what it does not know of its command line. What a gate makes of recordings
    # does not depend on the kernel that made them, and how late an emulated CPU is says nothing.
    live --test-threads=1 --skip gate --skip lateness $(echo "$CRONX_TESTS" | tr , ' ') 2>&1
else
    # The whole of the kernel's refusal: the doctor has only its last words.
    cronx record -o /tmp/refused -- true
    cat cronx-verifier-*.log 2>/dev/null
fi
echo "VM doctor $(tr -d '\n' </tmp/doctor)"
[ -f /tmp/skipped ] && sed 's/^/VM skipped /' /tmp/skipped
[ -f /tmp/degraded ] && sort -u /tmp/degraded | sed 's/^/VM degraded /'
echo "VM DONE"
poweroff -f
