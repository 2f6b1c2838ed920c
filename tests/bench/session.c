/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One decoder and who takes its pictures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_vaapi.h>
#include <libswscale/swscale.h>

#include "client.h"

static enum AVPixelFormat choose(AVCodecContext *context, const enum AVPixelFormat *formats)
{
	(void)context;
	for (; *formats != AV_PIX_FMT_NONE; formats++)
		if (*formats == AV_PIX_FMT_VAAPI)
			return *formats;
	fail("libavcodec does not decode this through VA-API");
}

static VASurfaceID surface_of(const AVFrame *frame)
{
	return (VASurfaceID)(uintptr_t)frame->data[3];
}

/* Notes the surface that the next picture goes to: pictures come out in another order. */
static int get_buffer(AVCodecContext *context, AVFrame *frame, int flags)
{
	struct session *session = context->opaque;
	int status = avcodec_default_get_buffer2(context, frame, flags);
	VASurfaceID surface;
	int i;

	if (status < 0 || frame->format != AV_PIX_FMT_VAAPI)
		return status;
	surface = surface_of(frame);
	if (session->fresh_count < FRESH)
		session->fresh[session->fresh_count++] = surface;
	for (i = 0; i < session->seen_count; i++)
		if (session->seen[i] == surface)
			return status;
	if (session->seen_count < SURFACES)
		session->seen[session->seen_count++] = surface;
	return status;
}

static const AVCodec *find(const struct options *options)
{
	const AVCodec *codec = NULL;

	/* FFmpeg's own AV1 decoder is an interface to hardware and nothing else. */
	if (!options->va && !strcmp(options->codec, "av1"))
		codec = avcodec_find_decoder_by_name("libdav1d");
	if (!codec)
		codec = avcodec_find_decoder_by_name(options->codec);
	if (!codec)
		fail("no decoder of %s", options->codec);
	return codec;
}

void session_open(struct session *session)
{
	const struct options *options = session->options;
	const AVCodec *codec = find(options);
	AVCodecContext *decoder = avcodec_alloc_context3(codec);
	int i;

	if (!decoder)
		fail("no memory for a decoder");
	session->decoder = decoder;
	decoder->opaque = session;
	decoder->thread_count = options->va ? 1 : options->threads;
	if (options->va) {
		decoder->hw_device_ctx = av_buffer_ref(session->device);
		decoder->get_format = choose;
		decoder->get_buffer2 = get_buffer;
		decoder->extra_hw_frames = AHEAD;
	}
	if (avcodec_open2(decoder, codec, NULL) < 0)
		fail("cannot open the decoder");
	for (i = 0; i < AHEAD; i++) {
		session->held[i] = av_frame_alloc();
		if (!session->held[i])
			fail("no memory for a frame");
	}
}

static void wait_for(struct session *session, VASurfaceID surface)
{
	VAStatus status = vaSyncSurface(session->display, surface);

	if (status != VA_STATUS_SUCCESS)
		fail("vaSyncSurface: %s", vaErrorStr(status));
}

/* The pixels of the oldest picture that is held exist from here on. */
static void finish_oldest(struct session *session)
{
	AVFrame *oldest = session->held[0];
	long done;

	if (session->options->va)
		wait_for(session, surface_of(oldest));
	av_frame_unref(oldest);
	memmove(session->held, session->held + 1, (AHEAD - 1) * sizeof(oldest));
	session->held[AHEAD - 1] = oldest;
	session->held_count--;
	done = atomic_fetch_add(&session->done, 1) + 1;
	if (session->options->sample && done % session->options->sample == 0)
		printf("memory %ld %ld\n", done, memory("VmRSS"));
}

static void convert(struct session *session, const AVFrame *from)
{
	bool is_8_bit = from->format == AV_PIX_FMT_YUV420P;
	enum AVPixelFormat format = is_8_bit ? AV_PIX_FMT_NV12 : AV_PIX_FMT_P010;
	AVFrame **to = &session->converted[session->conversions++ % CONVERTED];

	session->scaler = sws_getCachedContext(session->scaler, from->width, from->height,
					       from->format, from->width, from->height, format,
					       SWS_BICUBIC, NULL, NULL, NULL);
	if (!*to) {
		*to = av_frame_alloc();
		if (!*to)
			fail("no memory for a frame");
		(*to)->format = format;
		(*to)->width = from->width;
		(*to)->height = from->height;
		if (av_frame_get_buffer(*to, 0) < 0)
			fail("no memory for a frame");
	}
	if (!session->scaler ||
	    sws_scale(session->scaler, (const uint8_t *const *)from->data, from->linesize, 0,
		      from->height, (*to)->data, (*to)->linesize) != from->height)
		fail("cannot convert a picture");
}

static void receive(struct session *session)
{
	for (;;) {
		AVFrame *frame;
		int status;

		if (session->held_count == AHEAD)
			finish_oldest(session);
		frame = session->held[session->held_count];
		status = avcodec_receive_frame(session->decoder, frame);
		if (status == AVERROR(EAGAIN) || status == AVERROR_EOF)
			return;
		if (status < 0)
			fail("avcodec_receive_frame: %s", av_err2str(status));
		if (session->options->va && frame->format != AV_PIX_FMT_VAAPI)
			fail("a picture that is in no surface");
		session->held_count++;
		if (session->options->convert)
			convert(session, frame);
		/* In software what comes is finished. */
		if (!session->options->va || session->options->wait_each)
			while (session->held_count)
				finish_oldest(session);
	}
}

static void send(struct session *session, const AVPacket *packet)
{
	int status;
	int i;

	session->fresh_count = 0;
	status = avcodec_send_packet(session->decoder, packet);
	if (status < 0)
		fail("avcodec_send_packet: %s", av_err2str(status));
	receive(session);
	/* The picture just submitted, whether or not it is shown already. */
	for (i = 0; session->options->wait_each && i < session->fresh_count; i++)
		wait_for(session, session->fresh[i]);
}

void session_run(struct session *session, double start)
{
	const struct options *options = session->options;

	for (int loop = 0; loop < options->loops; loop++) {
		for (int i = 0; i < session->packets->count; i++) {
			double before = now();

			send(session, session->packets->all[i]);
			if (options->wait_each)
				printf("latency %.1f\n", (now() - before) * 1e6);
		}
	}
	send(session, NULL);
	while (session->held_count)
		finish_oldest(session);
	session->seconds = now() - start;
}

/* The bytes of `surface` that are in memory: what nobody has touched takes none. */
static long resident_bytes(VADisplay display, VASurfaceID surface)
{
	long page = sysconf(_SC_PAGESIZE);
	unsigned char *residence;
	uintptr_t first, last;
	VAImage image;
	long pages = 0;
	void *data;

	if (vaDeriveImage(display, surface, &image) != VA_STATUS_SUCCESS ||
	    vaMapBuffer(display, image.buf, &data) != VA_STATUS_SUCCESS)
		fail("a surface cannot be looked at");
	first = (uintptr_t)data / page * page;
	last = ((uintptr_t)data + image.data_size + page - 1) / page * page;
	residence = calloc((last - first) / page, 1);
	if (!residence)
		fail("no memory");
	/* Of what is no ordinary memory nothing is told, and nothing counts as ours. */
	if (mincore((void *)first, last - first, residence) == 0)
		for (uintptr_t i = 0; i < (last - first) / page; i++)
			pages += residence[i] & 1;
	free(residence);
	vaUnmapBuffer(display, image.buf);
	vaDestroyImage(display, image.image_id);
	return pages * page;
}

int session_surfaces(const struct session *session, long *resident)
{
	const VASurfaceID *surfaces = session->seen;
	int count = session->seen_count;

	if (session->options->va) {
		AVHWFramesContext *frames = (void *)session->decoder->hw_frames_ctx->data;
		AVVAAPIFramesContext *pool = frames->hwctx;

		/* Later versions of FFmpeg make them one by one, and keep no list. */
		if (pool->nb_surfaces > 0) {
			surfaces = pool->surface_ids;
			count = pool->nb_surfaces;
		}
	}
	for (int i = 0; i < count; i++)
		*resident += resident_bytes(session->display, surfaces[i]);
	return count;
}
