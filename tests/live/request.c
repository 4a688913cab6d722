/* A program in C with the documented probes: a request every 2 ms, each half a millisecond of work. */

#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "cronx_spans.h"

static long now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000L + at.tv_nsec;
}

int main(int argc, char **argv)
{
	long until_ns = now_ns() + atol(argv[argc - 1]) * 1000000000L;
	struct timespec pause = { .tv_nsec = 2000000 };
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	for (long id = 1; now_ns() < until_ns; id++) {
		nanosleep(&pause, NULL);
		CRONX_SPAN_BEGIN("request", id);
		for (long end_ns = now_ns() + 500000; now_ns() < end_ns;)
			;
		CRONX_SPAN_END(id);
	}
	return 0;
}
