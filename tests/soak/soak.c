/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A client that lives long: threads that open decoders, decode, seek and close them again, each picture compared.
 *
 *	soak SECONDS SEED THREADS KEY CODEC FILE [CODEC FILE]...
 *
 * Every KEY-th packet of a file can be decoded without those before. Each file is decoded as a whole first: that
 * is what its pictures have to be from then on. Prints "ready" before the long part and what was done at the end.
 * Status 1: a picture was wrong, or missing.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavutil/dict.h>
#include <libavutil/hwcontext.h>
#include <libavutil/imgutils.h>
#include <libavutil/md5.h>

#include "../bench/client.h"

/* Files, and pictures that a session keeps for a while, as players and compositors do. */
#define FILES 8
#define HELD  6

struct digest {
	unsigned char bytes[16];
};

struct film {
	const char *codec;
	struct packets *packets;
	/* By packet; all zero for one that gives no picture. */
	struct digest *digests;
};

struct viewer {
	pthread_t thread;
	unsigned int seed;
	AVCodecContext *decoder;
	const struct film *film;
	/* Fills the digests instead of comparing. */
	bool learns;
	AVFrame *held[HELD];
	unsigned int shown;
};

static struct film films[FILES];
static int film_count, key;
static double end;
static AVBufferRef *shared_device;
static atomic_ulong sessions, pictures, seeks, abandoned;

static unsigned int pick(struct viewer *viewer, unsigned int below)
{
	return (unsigned int)rand_r(&viewer->seed) % below;
}

static enum AVPixelFormat choose(AVCodecContext *context, const enum AVPixelFormat *formats)
{
	(void)context;
	for (; *formats != AV_PIX_FMT_NONE; formats++)
		if (*formats == AV_PIX_FMT_VAAPI)
			return *formats;
	return AV_PIX_FMT_NONE;
}

static AVBufferRef *new_device(void)
{
	AVBufferRef *device = NULL;
	AVDictionary *options = NULL;

	av_dict_set(&options, "connection_type", "x11", 0);
	if (av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, NULL, options, 0) < 0)
		fail("no VA-API");
	av_dict_free(&options);
	return device;
}

static void open_film(struct viewer *viewer, const struct film *film)
{
	const AVCodec *codec = avcodec_find_decoder_by_name(film->codec);

	viewer->film = film;
	viewer->decoder = codec ? avcodec_alloc_context3(codec) : NULL;
	if (!viewer->decoder)
		fail("no decoder for %s", film->codec);
	/* Some have a display of their own. */
	viewer->decoder->hw_device_ctx = pick(viewer, 4) ? av_buffer_ref(shared_device) : new_device();
	viewer->decoder->get_format = choose;
	viewer->decoder->extra_hw_frames = HELD;
	if (avcodec_open2(viewer->decoder, codec, NULL) < 0)
		fail("%s cannot be opened", film->codec);
	atomic_fetch_add(&sessions, 1);
}

static struct digest digest(const AVFrame *frame, const AVFrame *pixels)
{
	int size = av_image_get_buffer_size(pixels->format, frame->width, frame->height, 1);
	unsigned char *packed = av_malloc(size);
	struct digest digest;

	if (!packed || av_image_copy_to_buffer(packed, size, (const uint8_t *const *)pixels->data,
					       pixels->linesize, pixels->format, frame->width,
					       frame->height, 1) < 0)
		fail("no memory for a picture");
	av_md5_sum(digest.bytes, packed, size);
	av_free(packed);
	return digest;
}

static void look_at(struct viewer *viewer, const AVFrame *frame)
{
	AVFrame *pixels = av_frame_alloc();
	struct digest *wanted = &viewer->film->digests[frame->pts];
	struct digest found;

	if (!pixels || frame->format != AV_PIX_FMT_VAAPI || av_hwframe_transfer_data(pixels, frame, 0) < 0)
		fail("%s: picture %lld is not there", viewer->film->codec, (long long)frame->pts);
	found = digest(frame, pixels);
	if (viewer->learns)
		*wanted = found;
	else if (memcmp(&found, wanted, sizeof(found)))
		fail("%s: picture %lld is wrong", viewer->film->codec, (long long)frame->pts);
	av_frame_free(&pixels);
}

/* Takes what has come. Most pictures are looked at, and all are kept for a while. */
static void receive(struct viewer *viewer)
{
	for (;;) {
		AVFrame *frame = av_frame_alloc(), **place = &viewer->held[viewer->shown % HELD];

		if (!frame)
			fail("no memory");
		if (avcodec_receive_frame(viewer->decoder, frame) < 0) {
			av_frame_free(&frame);
			return;
		}
		if (viewer->learns || pick(viewer, 4))
			look_at(viewer, frame);
		av_frame_free(place);
		*place = frame;
		viewer->shown++;
		atomic_fetch_add(&pictures, 1);
	}
}

static void play(struct viewer *viewer, int first, int count)
{
	const struct packets *packets = viewer->film->packets;

	for (int at = first; at < packets->count && count--; at++) {
		if (avcodec_send_packet(viewer->decoder, packets->all[at]) < 0)
			fail("%s: packet %d is refused", viewer->film->codec, at);
		receive(viewer);
	}
}

static void close_film(struct viewer *viewer, bool whole)
{
	if (whole) {
		avcodec_send_packet(viewer->decoder, NULL);
		receive(viewer);
	}
	/* The pictures outlive the decoder, or not. */
	if (pick(viewer, 2))
		avcodec_free_context(&viewer->decoder);
	for (int at = 0; at < HELD; at++)
		av_frame_free(&viewer->held[at]);
	avcodec_free_context(&viewer->decoder);
}

static void *watch(void *data)
{
	struct viewer *viewer = data;

	while (now() < end) {
		const struct film *film = &films[pick(viewer, film_count)];

		open_film(viewer, film);
		for (unsigned int parts = 1 + pick(viewer, 5); parts && now() < end; parts--) {
			int keys = (film->packets->count + key - 1) / key;

			play(viewer, pick(viewer, keys) * key, 1 + pick(viewer, 3 * key));
			avcodec_flush_buffers(viewer->decoder);
			atomic_fetch_add(&seeks, 1);
		}
		if (pick(viewer, 3)) {
			play(viewer, 0, film->packets->count);
			close_film(viewer, true);
		} else {
			play(viewer, 0, 1 + pick(viewer, key));
			atomic_fetch_add(&abandoned, 1);
			close_film(viewer, false);
		}
	}
	return NULL;
}

static void learn(struct film *film)
{
	struct viewer viewer = { .seed = 1, .learns = true };

	open_film(&viewer, film);
	play(&viewer, 0, film->packets->count);
	close_film(&viewer, true);
	if (!viewer.shown)
		fail("%s: no pictures", film->codec);
}

int main(int argc, char **argv)
{
	static struct viewer viewers[64];
	int threads;

	if (argc < 7 || argc % 2 == 0 || (argc - 5) / 2 > FILES)
		fail("usage: soak SECONDS SEED THREADS KEY CODEC FILE...");
	threads = atoi(argv[3]);
	key = atoi(argv[4]);
	if (threads < 1 || threads > 64 || key < 1)
		fail("%s threads, a key frame every %s", argv[3], argv[4]);
	shared_device = new_device();
	for (int at = 5; at < argc; at += 2) {
		struct film *film = &films[film_count++];

		film->codec = argv[at];
		film->packets = packets_read(argv[at], argv[at + 1]);
		film->digests = calloc(film->packets->count, sizeof(*film->digests));
		if (!film->digests)
			fail("no memory");
		learn(film);
	}
	puts("ready");
	fflush(stdout);
	end = now() + atof(argv[1]);
	for (int at = 0; at < threads; at++) {
		viewers[at].seed = atoi(argv[2]) + at;
		if (pthread_create(&viewers[at].thread, NULL, watch, &viewers[at]))
			fail("no thread");
	}
	for (int at = 0; at < threads; at++)
		pthread_join(viewers[at].thread, NULL);
	printf("%lu sessions, %lu abandoned, %lu seeks, %lu pictures\n", atomic_load(&sessions),
	       atomic_load(&abandoned), atomic_load(&seeks), atomic_load(&pictures));
	av_buffer_unref(&shared_device);
	return 0;
}
