/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A client that shares surfaces, as compositors and GPUs get them.
 *
 *	sharer play h264|vp9|av1 FILE PICTURES
 *		Exports every surface before the first picture is decoded, keeps those descriptors, and reads all
 *		pictures through them and nothing else. Plays the file again and again until there were so many.
 *		Prints a line for each: the MD5 of its pixels as NV12.
 *	sharer churn COUNT
 *		Makes, exports, maps and destroys so many surfaces. Prints "descriptors BEFORE AFTER" and
 *		"memory BEFORE AFTER" in KiB, where "before" is after the first few.
 *	sharer abandon COUNT
 *		Makes and exports so many surfaces, prints "ready", and waits to be killed.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-buf.h>

#include <libavcodec/avcodec.h>
#include <libavutil/dict.h>
#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_vaapi.h>
#include <libavutil/md5.h>
#include <va/va_drmcommon.h>

#include "../../bench/client.h"

/* More than any of the streams needs. */
#define POOL 40

/* A surface as somebody else has it. */
struct shared {
	VASurfaceID surface;
	VADRMPRIMESurfaceDescriptor descriptor;
	const uint8_t *memory;
};

static AVBufferRef *device, *frames_of_pool;
static VADisplay display;
static struct shared pool[POOL];
static int pool_size;
static long wanted, shown;

static void check(const char *what, VAStatus status)
{
	if (status != VA_STATUS_SUCCESS)
		fail("%s: %s", what, vaErrorStr(status));
}

static void share(struct shared *shared, VASurfaceID surface)
{
	VADRMPRIMESurfaceDescriptor *descriptor = &shared->descriptor;
	void *memory;

	shared->surface = surface;
	check("vaExportSurfaceHandle",
	      vaExportSurfaceHandle(display, surface, VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2,
				    VA_EXPORT_SURFACE_READ_ONLY | VA_EXPORT_SURFACE_SEPARATE_LAYERS,
				    descriptor));
	if (descriptor->num_objects != 1 || descriptor->num_layers != 2 ||
	    descriptor->objects[0].drm_format_modifier != 0)
		fail("%u objects, %u layers", descriptor->num_objects, descriptor->num_layers);
	memory = mmap(NULL, descriptor->objects[0].size, PROT_READ, MAP_SHARED, descriptor->objects[0].fd,
		      0);
	if (memory == MAP_FAILED)
		fail("a dma-buf cannot be mapped");
	shared->memory = memory;
}

static void let_go(struct shared *shared)
{
	munmap((void *)shared->memory, shared->descriptor.objects[0].size);
	close(shared->descriptor.objects[0].fd);
}

/* One linear object, written by others from now on. */
static void bracket(const struct shared *shared, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_READ };

	if (ioctl(shared->descriptor.objects[0].fd, DMA_BUF_IOCTL_SYNC, &sync) < 0)
		fail("not a dma-buf");
}

static void print(const struct shared *shared, int width, int height)
{
	const VADRMPRIMESurfaceDescriptor *descriptor = &shared->descriptor;
	struct AVMD5 *md5 = av_md5_alloc();
	unsigned char digest[16];

	if (!md5)
		fail("no memory");
	av_md5_init(md5);
	bracket(shared, DMA_BUF_SYNC_START);
	for (int plane = 0; plane < 2; plane++) {
		const uint8_t *row = shared->memory + descriptor->layers[plane].offset[0];
		int rows = plane ? (height + 1) / 2 : height;
		int bytes = plane ? (width + 1) / 2 * 2 : width;

		for (int y = 0; y < rows; y++, row += descriptor->layers[plane].pitch[0])
			av_md5_update(md5, row, bytes);
	}
	bracket(shared, DMA_BUF_SYNC_END);
	av_md5_final(md5, digest);
	av_free(md5);
	for (int i = 0; i < 16; i++)
		printf("%02x", digest[i]);
	putchar('\n');
}

static void receive(AVCodecContext *decoder)
{
	AVFrame *frame = av_frame_alloc();

	if (!frame)
		fail("no memory");
	while (avcodec_receive_frame(decoder, frame) == 0) {
		VASurfaceID surface = (VASurfaceID)(uintptr_t)frame->data[3];
		int i = 0;

		if (frame->format != AV_PIX_FMT_VAAPI)
			fail("a picture in no surface");
		while (i < pool_size && pool[i].surface != surface)
			i++;
		if (i == pool_size)
			fail("a surface of another pool");
		check("vaSyncSurface", vaSyncSurface(display, surface));
		if (shown++ < wanted)
			print(&pool[i], frame->width, frame->height);
		av_frame_unref(frame);
	}
	av_frame_free(&frame);
}

static enum AVPixelFormat choose(AVCodecContext *context, const enum AVPixelFormat *formats)
{
	AVHWFramesContext *frames;
	AVVAAPIFramesContext *surfaces;
	AVBufferRef *made = NULL;

	for (; *formats != AV_PIX_FMT_VAAPI; formats++)
		if (*formats == AV_PIX_FMT_NONE)
			fail("libavcodec does not decode this through VA-API");
	if (pool_size) {
		context->hw_frames_ctx = av_buffer_ref(frames_of_pool);
		return AV_PIX_FMT_VAAPI;
	}
	if (avcodec_get_hw_frames_parameters(context, device, AV_PIX_FMT_VAAPI, &made) < 0)
		fail("no parameters for surfaces");
	frames = (AVHWFramesContext *)made->data;
	frames->initial_pool_size = POOL;
	if (av_hwframe_ctx_init(made) < 0)
		fail("no surfaces");
	surfaces = frames->hwctx;
	while (pool_size < surfaces->nb_surfaces) {
		share(&pool[pool_size], surfaces->surface_ids[pool_size]);
		pool_size++;
	}
	frames_of_pool = made;
	context->hw_frames_ctx = av_buffer_ref(made);
	return AV_PIX_FMT_VAAPI;
}

static void play(const char *codec_name, const char *file)
{
	struct packets *packets = packets_read(codec_name, file);
	/* libavcodec's own decoders, which have the hardware's interface. */
	const AVCodec *codec = avcodec_find_decoder_by_name(codec_name);
	AVCodecContext *decoder = avcodec_alloc_context3(codec);

	if (!codec || !decoder)
		fail("no decoder");
	decoder->hw_device_ctx = av_buffer_ref(device);
	decoder->get_format = choose;
	if (avcodec_open2(decoder, codec, NULL) < 0)
		fail("the decoder cannot be opened");
	while (shown < wanted) {
		for (int i = 0; i < packets->count && shown < wanted; i++) {
			if (avcodec_send_packet(decoder, packets->all[i]) < 0)
				fail("packet %d is refused", i);
			receive(decoder);
		}
		avcodec_send_packet(decoder, NULL);
		receive(decoder);
		avcodec_flush_buffers(decoder);
	}
	avcodec_free_context(&decoder);
	for (int i = 0; i < pool_size; i++)
		let_go(&pool[i]);
	av_buffer_unref(&frames_of_pool);
}

static VASurfaceID make_surface(void)
{
	VASurfaceID surface;

	check("vaCreateSurfaces",
	      vaCreateSurfaces(display, VA_RT_FORMAT_YUV420, 320, 240, &surface, 1, NULL, 0));
	return surface;
}

static int descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	if (!folder)
		fail("no /proc/self/fd");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void churn(long count)
{
	int before_descriptors = 0;
	long before_memory = 0, sum = 0;

	for (long i = 0; i < count; i++) {
		struct shared shared;

		if (i == 20) {
			before_descriptors = descriptors();
			before_memory = memory("VmRSS");
		}
		share(&shared, make_surface());
		for (uint32_t at = 0; at < shared.descriptor.objects[0].size; at += 4096)
			sum += shared.memory[at];
		let_go(&shared);
		check("vaDestroySurfaces", vaDestroySurfaces(display, &shared.surface, 1));
	}
	if (sum)
		fail("a new surface is not empty");
	printf("descriptors %d %d\n", before_descriptors, descriptors());
	printf("memory %ld %ld\n", before_memory, memory("VmRSS"));
}

int main(int argc, char **argv)
{
	AVDictionary *how = NULL;

	av_dict_set(&how, "connection_type", "x11", 0);
	if (av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, NULL, how, 0) < 0)
		fail("no VA-API");
	av_dict_free(&how);
	display = ((AVVAAPIDeviceContext *)((AVHWDeviceContext *)device->data)->hwctx)->display;
	if (argc == 5 && !strcmp(argv[1], "play")) {
		wanted = strtol(argv[4], NULL, 10);
		play(argv[2], argv[3]);
	} else if (argc == 3 && !strcmp(argv[1], "churn")) {
		churn(strtol(argv[2], NULL, 10));
	} else if (argc == 3 && !strcmp(argv[1], "abandon")) {
		for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
			struct shared *shared = calloc(1, sizeof(*shared));

			share(shared, make_surface());
		}
		puts("ready");
		fflush(stdout);
		pause();
	} else {
		fail("usage: see sharer.c");
	}
	av_buffer_unref(&device);
	return 0;
}
