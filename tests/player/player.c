/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A player that does not give up: decodes through VA-API with libavcodec and goes on when a picture cannot
 * be decoded or fetched, as people's players do and the ffmpeg program does not.
 *
 *	player h264|vp9|av1 FILE [MS|software]	(an Annex B byte stream, or IVF)
 *
 * Waits MS milliseconds before each packet, as one that shows pictures does; "software" decodes without
 * VA-API, for comparison.
 * Prints a line per picture that came: the number of its packet, and the MD5 of its pixels as NV12 or P010,
 * or "lost"; and on standard error which pictures libavcodec had decoded into surfaces that cannot hold them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libavcodec/avcodec.h>
#include <libavutil/dict.h>
#include <libavutil/hwcontext.h>
#include <libavutil/imgutils.h>
#include <libavutil/md5.h>
#include <libavutil/pixdesc.h>

static AVCodecContext *decoder;
/* What the last packet says it is; AV1's decoder does not tell it of a sequence but the first. */
static AVCodecParserContext *av1_parser;
static AVCodecContext *av1_context;
static struct timespec pause;

static void fail(const char *what)
{
	fprintf(stderr, "player: %s\n", what);
	exit(1);
}

/*
 * What the driver does not decode, and nobody offers for VA-API, libavcodec does, as in every client: its VP9 decoder
 * would not ask again after an error. What the driver should have decoded is lost if it does not.
 */
static enum AVPixelFormat choose(AVCodecContext *context, const enum AVPixelFormat *formats)
{
	enum AVPixelFormat last = AV_PIX_FMT_NONE;

	(void)context;
	for (; *formats != AV_PIX_FMT_NONE; last = *formats++)
		if (*formats == AV_PIX_FMT_VAAPI)
			return *formats;
	if (last == AV_PIX_FMT_YUV420P || last == AV_PIX_FMT_YUVJ420P || last == AV_PIX_FMT_YUV420P10)
		return AV_PIX_FMT_NONE;
	return last;
}

static void print(const AVFrame *frame, const AVFrame *pixels)
{
	unsigned char digest[16];
	int size = av_image_get_buffer_size(pixels->format, frame->width, frame->height, 1);
	unsigned char *packed = av_malloc(size);

	if (!packed || av_image_copy_to_buffer(packed, size, (const uint8_t *const *)pixels->data,
					       pixels->linesize, pixels->format, frame->width,
					       frame->height, 1) < 0)
		fail("no memory for a picture");
	av_md5_sum(digest, packed, size);
	av_free(packed);
	printf("%lld ", (long long)frame->pts);
	for (int i = 0; i < 16; i++)
		printf("%02x", digest[i]);
	putchar('\n');
}

/* A planar picture as the driver would have it. */
static int pack(AVFrame *packed, const AVFrame *frame)
{
	int deep = frame->format == AV_PIX_FMT_YUV420P10, size = deep ? 2 : 1;

	if (!deep && frame->format != AV_PIX_FMT_YUV420P && frame->format != AV_PIX_FMT_YUVJ420P)
		return -1;
	packed->format = deep ? AV_PIX_FMT_P010 : AV_PIX_FMT_NV12;
	packed->width = frame->width;
	packed->height = frame->height;
	if (av_frame_get_buffer(packed, 0) < 0)
		fail("no memory for a picture");
	for (int plane = 0; plane < 3; plane++) {
		int width = plane ? (frame->width + 1) / 2 : frame->width;
		int height = plane ? (frame->height + 1) / 2 : frame->height, step = plane ? 2 : 1;

		for (int y = 0; y < height; y++) {
			const uint8_t *from = frame->data[plane] + y * frame->linesize[plane];
			uint8_t *to = packed->data[!!plane] + y * packed->linesize[!!plane];

			if (plane == 2)
				to += size;
			for (int x = 0; x < width; x++, from += size, to += size * step) {
				if (deep)
					*(uint16_t *)to = *(const uint16_t *)from << 6;
				else
					*to = *from;
			}
		}
	}
	return 0;
}

/* FFmpeg 5.1 keeps the surfaces of an AV1 stream's first sequence, whatever size and depth the next one has. */
static int fits(const AVFrame *frame)
{
	const AVHWFramesContext *surfaces = (const void *)frame->hw_frames_ctx->data;
	enum AVPixelFormat wanted = surfaces->sw_format;

	if (av1_parser && av1_parser->format == AV_PIX_FMT_YUV420P)
		wanted = AV_PIX_FMT_NV12;
	else if (av1_parser && av1_parser->format == AV_PIX_FMT_YUV420P10)
		wanted = AV_PIX_FMT_P010;
	if (frame->width <= surfaces->width && frame->height <= surfaces->height &&
	    wanted == surfaces->sw_format)
		return 1;
	fprintf(stderr, "player: libavcodec had a picture of %dx%d %s decoded into a surface of %dx%d %s\n",
		frame->width, frame->height, av_get_pix_fmt_name(wanted), surfaces->width,
		surfaces->height, av_get_pix_fmt_name(surfaces->sw_format));
	return 0;
}

static int fetch(AVFrame *pixels, const AVFrame *frame)
{
	if (frame->format != AV_PIX_FMT_VAAPI)
		return pack(pixels, frame);
	return fits(frame) ? av_hwframe_transfer_data(pixels, frame, 0) : -1;
}

static void receive(void)
{
	AVFrame *frame = av_frame_alloc(), *pixels = av_frame_alloc();

	if (!frame || !pixels)
		fail("no memory");
	while (avcodec_receive_frame(decoder, frame) == 0) {
		if (fetch(pixels, frame) == 0)
			print(frame, pixels);
		else
			printf("%lld lost\n", (long long)frame->pts);
		av_frame_unref(pixels);
		av_frame_unref(frame);
	}
	av_frame_free(&pixels);
	av_frame_free(&frame);
}

static void look(const AVPacket *packet)
{
	uint8_t *out;
	int length;

	if (!av1_parser) {
		av1_parser = av_parser_init(AV_CODEC_ID_AV1);
		av1_context = avcodec_alloc_context3(NULL);
		if (!av1_parser || !av1_context)
			fail("no parser");
		av1_parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
	}
	av_parser_parse2(av1_parser, av1_context, &out, &length, packet->data, packet->size,
			 AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0);
}

static void send(const uint8_t *data, int size, int64_t number)
{
	AVPacket *packet = av_packet_alloc();

	if (!packet || av_new_packet(packet, size) < 0)
		fail("no memory for a packet");
	memcpy(packet->data, data, size);
	packet->pts = number;
	if (decoder->codec_id == AV_CODEC_ID_AV1)
		look(packet);
	nanosleep(&pause, NULL);
	/* What cannot be decoded is missing among the pictures. */
	avcodec_send_packet(decoder, packet);
	av_packet_free(&packet);
	receive();
}

static void play_ivf(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	int64_t number = 0;

	for (data += 32; end - data > 12; number++) {
		uint32_t length = data[0] | data[1] << 8 | data[2] << 16 | (uint32_t)data[3] << 24;

		data += 12;
		if (length > (size_t)(end - data))
			break;
		send(data, length, number);
		data += length;
	}
}

static void play_annex_b(const uint8_t *data, size_t size)
{
	AVCodecParserContext *parser = av_parser_init(AV_CODEC_ID_H264);
	int64_t number = 0;

	if (!parser)
		fail("no parser");
	for (;;) {
		uint8_t *out;
		int length, used = av_parser_parse2(parser, decoder, &out, &length, data, size,
						    AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0);

		if (length)
			send(out, length, number++);
		if (!size && !length)
			break;
		data += used;
		size -= used;
	}
	av_parser_close(parser);
}

int main(int argc, char **argv)
{
	AVBufferRef *device = NULL;
	AVDictionary *options = NULL;
	const AVCodec *codec;
	uint8_t *data;
	size_t size;
	FILE *file;
	int software;

	if (argc != 3 && argc != 4)
		fail("usage: player CODEC FILE [MS|software]");
	software = argc == 4 && !strcmp(argv[3], "software");
	if (argc == 4 && !software)
		pause.tv_nsec = atol(argv[3]) * 1000000;
	/* libavcodec's own decoders, which have the hardware's interface. Of AV1 that is all that they have. */
	codec = avcodec_find_decoder_by_name(software && !strcmp(argv[1], "av1") ? "libdav1d" : argv[1]);
	file = fopen(argv[2], "rb");
	if (!codec || !file)
		fail("no such codec or file");
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	data = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!data || size < 32 || fread(data, 1, size, file) != size)
		fail("cannot read the file");
	fclose(file);

	decoder = avcodec_alloc_context3(codec);
	av_dict_set(&options, "connection_type", "x11", 0);
	if (!decoder)
		fail("no memory");
	if (!software) {
		if (av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, NULL, options, 0) < 0)
			fail("no VA-API");
		decoder->hw_device_ctx = device;
		decoder->get_format = choose;
	}
	av_dict_free(&options);
	if (avcodec_open2(decoder, codec, NULL) < 0)
		fail("cannot open the decoder");
	if (!strcmp(argv[1], "h264"))
		play_annex_b(data, size);
	else
		play_ivf(data, size);
	avcodec_send_packet(decoder, NULL);
	receive();
	avcodec_free_context(&decoder);
	avcodec_free_context(&av1_context);
	av_parser_close(av1_parser);
	av_free(data);
	return 0;
}
