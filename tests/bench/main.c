/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 *	client [OPTION...] h264|vp9|av1 FILE	(an Annex B byte stream, or IVF)
 *
 *	--va		decode through VA-API (else in software)
 *	--convert	in software: every picture to NV12 or P010 as well
 *	--threads N	in software: threads of each decoder (1)
 *	--wait-each	after each packet wait for the picture that it holds; print how long that took
 *	--sessions N	so many decoders at the same time, a thread each (1)
 *	--loops N	decode the file so many times without a break (1)
 *	--sample N	print the memory in use every N pictures
 *
 * Prints lines of a word and values:
 *
 *	vendor TEXT		what the VA driver calls itself
 *	latency US		of a packet, with --wait-each
 *	memory DONE KIB		resident after so many pictures, with --sample
 *	session DONE SECONDS AT	pictures of a session, its time, and how many it had when the first ended
 *	surfaces COUNT BYTES	of all sessions, and how many bytes of them are in memory
 *	resident KIB		with all sessions still open, and
 *	peak KIB		the most until then
 *	seconds S		from the start of all to the last picture of all
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_vaapi.h>

#include "client.h"

static struct options options = { .threads = 1, .sessions = 1, .loops = 1 };
static struct session *sessions;
static pthread_barrier_t opened;
static double start;

/* What each session had when the first of them ended. */
static pthread_mutex_t end_lock = PTHREAD_MUTEX_INITIALIZER;
static long *at_first_end;

static void *work(void *argument)
{
	struct session *session = argument;

	session_open(session);
	if (pthread_barrier_wait(&opened) == PTHREAD_BARRIER_SERIAL_THREAD)
		start = now();
	pthread_barrier_wait(&opened);
	session_run(session, start);
	pthread_mutex_lock(&end_lock);
	if (!at_first_end) {
		at_first_end = calloc(options.sessions, sizeof(*at_first_end));
		if (!at_first_end)
			fail("no memory");
		for (int i = 0; i < options.sessions; i++)
			at_first_end[i] = atomic_load(&sessions[i].done);
	}
	pthread_mutex_unlock(&end_lock);
	return NULL;
}

static AVBufferRef *connect_va(VADisplay *display)
{
	AVBufferRef *device = NULL;
	AVDictionary *how = NULL;

	av_dict_set(&how, "connection_type", "x11", 0);
	if (av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, NULL, how, 0) < 0)
		fail("no VA-API");
	av_dict_free(&how);
	*display = ((AVVAAPIDeviceContext *)((AVHWDeviceContext *)device->data)->hwctx)->display;
	printf("vendor %s\n", vaQueryVendorString(*display));
	return device;
}

static long number(const char *text)
{
	char *end;
	long value = text ? strtol(text, &end, 10) : 0;

	if (value < 1 || *end)
		fail("not a number from 1 on: %s", text ? text : "");
	return value;
}

static void parse(char **arguments)
{
	for (arguments++; *arguments && !strncmp(*arguments, "--", 2); arguments++) {
		const char *name = *arguments + 2;

		if (!strcmp(name, "va"))
			options.va = true;
		else if (!strcmp(name, "convert"))
			options.convert = true;
		else if (!strcmp(name, "wait-each"))
			options.wait_each = true;
		else if (!strcmp(name, "threads"))
			options.threads = number(*++arguments);
		else if (!strcmp(name, "sessions"))
			options.sessions = number(*++arguments);
		else if (!strcmp(name, "loops"))
			options.loops = number(*++arguments);
		else if (!strcmp(name, "sample"))
			options.sample = number(*++arguments);
		else
			fail("no option --%s", name);
	}
	if (!arguments[0] || !arguments[1] || arguments[2])
		fail("usage: client [OPTION...] CODEC FILE");
	options.codec = arguments[0];
	options.file = arguments[1];
}

static void report(void)
{
	double seconds = 0;
	long bytes = 0;
	int count = 0;

	for (int i = 0; i < options.sessions; i++) {
		struct session *session = &sessions[i];

		printf("session %ld %.6f %ld\n", atomic_load(&session->done), session->seconds,
		       at_first_end[i]);
		if (session->seconds > seconds)
			seconds = session->seconds;
		count += session_surfaces(session, &bytes);
	}
	printf("surfaces %d %ld\n", count, bytes);
	printf("seconds %.6f\n", seconds);
}

int main(int argc, char **argv)
{
	AVBufferRef *device = NULL;
	VADisplay display = NULL;
	struct packets *packets;
	pthread_t *threads;

	(void)argc;
	parse(argv);
	av_log_set_level(AV_LOG_ERROR);
	packets = packets_read(options.codec, options.file);
	if (options.va)
		device = connect_va(&display);
	sessions = calloc(options.sessions, sizeof(*sessions));
	threads = calloc(options.sessions, sizeof(*threads));
	if (!sessions || !threads || pthread_barrier_init(&opened, NULL, options.sessions))
		fail("no memory");
	for (int i = 0; i < options.sessions; i++) {
		sessions[i].options = &options;
		sessions[i].packets = packets;
		sessions[i].device = device;
		sessions[i].display = display;
		if (pthread_create(&threads[i], NULL, work, &sessions[i]))
			fail("no thread");
	}
	for (int i = 0; i < options.sessions; i++)
		pthread_join(threads[i], NULL);
	printf("resident %ld\npeak %ld\n", memory("VmRSS"), memory("VmHWM"));
	report();
	for (int i = 0; i < options.sessions; i++)
		avcodec_free_context(&sessions[i].decoder);
	av_buffer_unref(&device);
	return 0;
}
