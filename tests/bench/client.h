/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The client that `./x bench` measures with: libavcodec, through VA-API or in software, in one or several
 * sessions of one process. main.c says what it takes and prints.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <libavcodec/avcodec.h>
#include <va/va.h>

/* Of libswscale, which not all that share this file have. */
struct SwsContext;

struct options {
	const char *codec;
	const char *file;
	bool va;
	bool convert;
	bool wait_each;
	int threads;
	int sessions;
	int loops;
	long sample;
};

/* The coded frames of a file, in memory before any clock starts. */
struct packets {
	AVPacket **all;
	int count;
};

struct packets *packets_read(const char *codec, const char *file);

/* How many pictures a session keeps before it waits for the oldest, as players do. */
#define AHEAD	  4
/* Surfaces that one packet may name, and that a session may have. */
#define FRESH	  16
#define SURFACES  128
/* Where converted pictures go: as many places as a player would have. */
#define CONVERTED 8

struct session {
	const struct options *options;
	const struct packets *packets;
	AVCodecContext *decoder;
	AVBufferRef *device;
	VADisplay display;

	/* Pictures whose pixels exist. */
	atomic_long done;
	/* Seconds from the common start to its own end. */
	double seconds;

	AVFrame *held[AHEAD];
	int held_count;

	/* The surfaces of the current packet's pictures; all there ever were. */
	VASurfaceID fresh[FRESH];
	int fresh_count;
	VASurfaceID seen[SURFACES];
	int seen_count;

	struct SwsContext *scaler;
	AVFrame *converted[CONVERTED];
	long conversions;
};

void session_open(struct session *session);
/* Decodes everything; `start` is when all of them started. */
void session_run(struct session *session, double start);
/* How many surfaces it has; adds to `resident` the bytes of them that are in memory. */
int session_surfaces(const struct session *session, long *resident);

/* Seconds of the monotonic clock. */
double now(void);
/* Memory of this process in KiB: field `VmRSS` or `VmHWM`. */
long memory(const char *field);
/* Says so, and ends the process: what is not decoded is not measured. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
