// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Reads the probes of provider `cronx` (spans/src/lib.rs says their arguments) and writes a record of
// each into a ring. In C, since libbpf has USDT and what the other programs are written with has not;
// it takes no decision but whom to leave out. The layouts are those of abi/src/span.rs, byte for byte.

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <bpf_helpers.h>
#include <bpf_tracing.h>
#include <usdt.bpf.h>

/* SpanRecord of the abi, and its kinds. */
#define NAME_LEN 64
#define WORD_LEN 24
#define ARGS 10
#define FIRING_STARTED 1
#define FIRING_FINISHED 2
#define FIRING_LATE 3
#define SPAN_BEGIN 4
#define SPAN_END 5
#define FIRING_REJECTED 6
#define UNREADABLE 1
#define UNREADABLE_WHY 2

/* TaskState of the abi: its size. Where `watched` lies in it, SETTINGS says. */
#define TASK_STATE_LEN 136

struct span_record {
	__u64 at_ns;
	__u32 tid;
	__u32 tgid;
	__u32 cpu;
	__u8 kind;
	__u8 flags;
	__u16 name_len;
	__u64 args[ARGS];
	char name[NAME_LEN];
};

/* RejectedRecord of the abi. */
struct rejected_record {
	struct span_record span;
	__u16 breaker_len;
	__u16 state_len;
	__u16 rule_len;
	__u16 reserved;
	char breaker[NAME_LEN];
	char state[WORD_LEN];
	char rule[WORD_LEN];
};

/* SpanCounts of the abi. */
struct span_counts {
	__u64 seen;
	__u64 filtered;
	__u64 submitted;
	__u64 lost;
};

struct task_state {
	__u8 bytes[TASK_STATE_LEN];
};

/* SpanSettings of the abi. */
const volatile struct {
	__u32 watched_at;
	__u32 all;
	__u32 by_tid;
} SETTINGS = {};

/* Both are the other object's, and at most one of them is there. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} TASKS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct task_state);
} TASKS_BY_TID SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} SPANS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct span_counts);
} COUNTS SEC(".maps");

static __always_inline const struct task_state *remembered(void)
{
	if (SETTINGS.by_tid) {
		__u32 tid = bpf_get_current_pid_tgid();

		return bpf_map_lookup_elem(&TASKS_BY_TID, &tid);
	}
	return bpf_task_storage_get(&TASKS, bpf_get_current_task_btf(), 0, 0);
}

static __always_inline int is_watched(void)
{
	__u32 at = SETTINGS.watched_at;
	const struct task_state *state;

	if (SETTINGS.all)
		return 1;
	state = remembered();
	return state && at <= TASK_STATE_LEN - 4 && *(const __u32 *)(state->bytes + at);
}

/* One that is not there is 0, and what it means will not fit together. */
static __always_inline __u64 argument(struct pt_regs *ctx, __u64 number)
{
	long value = 0;

	return bpf_usdt_arg(ctx, number, &value) ? 0 : value;
}

/* The text of argument `number` and the one after it, as far as there is room; `flag` if it cannot be read. */
static __always_inline __u16 read_text(struct pt_regs *ctx, __u64 number, char *into, __u64 room,
				       __u8 *flags, __u8 flag)
{
	__u64 address = argument(ctx, number), len = argument(ctx, number + 1);

	if (len > room)
		len = room;
	if (bpf_probe_read_user(into, len, (const void *)address)) {
		*flags |= flag;
		return 0;
	}
	return len;
}

/* Room for a record of `size`, begun; none, if nobody wants it or the ring is full. */
static __always_inline struct span_record *begin(struct span_counts *counts, __u64 size, __u8 kind)
{
	struct span_record *record;
	__u64 id = bpf_get_current_pid_tgid();

	__sync_fetch_and_add(&counts->seen, 1);
	if (!is_watched()) {
		__sync_fetch_and_add(&counts->filtered, 1);
		return 0;
	}
	record = bpf_ringbuf_reserve(&SPANS, size, 0);
	if (!record) {
		__sync_fetch_and_add(&counts->lost, 1);
		return 0;
	}
	__builtin_memset(record, 0, size);
	record->at_ns = bpf_ktime_get_ns();
	record->tid = id;
	record->tgid = id >> 32;
	record->cpu = bpf_get_smp_processor_id();
	record->kind = kind;
	return record;
}

/* The record is whole. */
static __always_inline int end(struct span_counts *counts, void *record)
{
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	__sync_fetch_and_add(&counts->submitted, 1);
	return 0;
}

/* Its arguments are `count` from `first` on; what comes before is its name. */
static __always_inline void fill(struct pt_regs *ctx, struct span_record *record, int first, int count)
{
	if (first)
		record->name_len =
			read_text(ctx, 0, record->name, NAME_LEN, &record->flags, UNREADABLE);
#pragma unroll
	for (int n = 0; n < ARGS; n++)
		if (n < count)
			record->args[n] = argument(ctx, first + n);
}

static __always_inline struct span_counts *counts_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&COUNTS, &zero);
}

/* A record of `kind`. */
static __always_inline int tell(struct pt_regs *ctx, __u8 kind, int first, int count)
{
	struct span_counts *counts = counts_here();
	struct span_record *record;

	if (!counts)
		return 0;
	record = begin(counts, sizeof(*record), kind);
	if (!record)
		return 0;
	fill(ctx, record, first, count);
	return end(counts, record);
}

SEC("usdt")
int firing_started(struct pt_regs *ctx)
{
	return tell(ctx, FIRING_STARTED, 2, 10);
}

SEC("usdt")
int firing_finished(struct pt_regs *ctx)
{
	return tell(ctx, FIRING_FINISHED, 2, 5);
}

SEC("usdt")
int firing_late(struct pt_regs *ctx)
{
	return tell(ctx, FIRING_LATE, 2, 10);
}

SEC("usdt")
int firing_rejected(struct pt_regs *ctx)
{
	struct span_counts *counts = counts_here();
	struct rejected_record *record;
	__u8 *flags;

	if (!counts)
		return 0;
	record = (void *)begin(counts, sizeof(*record), FIRING_REJECTED);
	if (!record)
		return 0;
	fill(ctx, &record->span, 2, 4);
	flags = &record->span.flags;
	record->breaker_len =
		read_text(ctx, 6, record->breaker, NAME_LEN, flags, UNREADABLE_WHY);
	record->state_len = read_text(ctx, 8, record->state, WORD_LEN, flags, UNREADABLE_WHY);
	record->rule_len = read_text(ctx, 10, record->rule, WORD_LEN, flags, UNREADABLE_WHY);
	return end(counts, record);
}

SEC("usdt")
int span_begin(struct pt_regs *ctx)
{
	return tell(ctx, SPAN_BEGIN, 2, 1);
}

SEC("usdt")
int span_end(struct pt_regs *ctx)
{
	return tell(ctx, SPAN_END, 0, 1);
}

/* Helpers that only programs of a free licence may call. The kernel knows no other name for ours. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
