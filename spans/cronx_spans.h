/* Spans for C and C++: what `cronx record` explains of a program that is not in Rust. It wants
 * <sys/sdt.h> (Debian: systemtap-sdt-dev) when the program is built, and nothing when it runs.
 * While nobody listens a probe is a nop, and a begin reads a byte of the name, so that its page is there
 * for whoever listens.
 *
 *     CRONX_SPAN_BEGIN("request", 7);
 *     answer(request);
 *     CRONX_SPAN_END(7);
 *
 * name: UTF-8, up to its NUL. id: an integer, the program's own name for the span until it ends; no two
 * that are open at once, of one process, may share one. Both in one thread. What a probe's arguments
 * are says src/lib.rs beside this.
 */
#ifndef CRONX_SPANS_H
#define CRONX_SPANS_H

#include <string.h>
#include <sys/sdt.h>

#define CRONX_SPAN_BEGIN(name, id) \
	do { \
		const char *cronx_name_ = (name); \
		(void)*(const volatile char *)cronx_name_; \
		DTRACE_PROBE3(cronx, span_begin, cronx_name_, (unsigned long)strlen(cronx_name_), \
			      (unsigned long)(id)); \
	} while (0)

#define CRONX_SPAN_END(id) DTRACE_PROBE1(cronx, span_end, (unsigned long)(id))

#endif
