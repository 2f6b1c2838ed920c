/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Annex B byte streams and IVF files, cut into packets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

static void add(struct packets *packets, const uint8_t *data, int size)
{
	AVPacket *packet = av_packet_alloc();
	AVPacket **all = realloc(packets->all, (packets->count + 1) * sizeof(*all));

	if (!packet || !all || av_new_packet(packet, size) < 0)
		fail("no memory for a packet");
	memcpy(packet->data, data, size);
	packet->pts = packets->count;
	packets->all = all;
	packets->all[packets->count++] = packet;
}

static void cut_ivf(struct packets *packets, const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;

	for (data += 32; end - data > 12;) {
		uint32_t length = data[0] | data[1] << 8 | data[2] << 16 | (uint32_t)data[3] << 24;

		data += 12;
		if (length > (size_t)(end - data))
			fail("the file is cut off");
		add(packets, data, length);
		data += length;
	}
}

static void cut_annex_b(struct packets *packets, const uint8_t *data, size_t size)
{
	AVCodecParserContext *parser = av_parser_init(AV_CODEC_ID_H264);
	AVCodecContext *context = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));

	if (!parser || !context)
		fail("no parser");
	for (;;) {
		uint8_t *out;
		int length;
		int used = av_parser_parse2(parser, context, &out, &length, data, size,
					    AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0);

		if (length)
			add(packets, out, length);
		if (!size && !length)
			break;
		data += used;
		size -= used;
	}
	av_parser_close(parser);
	avcodec_free_context(&context);
}

struct packets *packets_read(const char *codec, const char *name)
{
	struct packets *packets = calloc(1, sizeof(*packets));
	FILE *file = fopen(name, "rb");
	uint8_t *data;
	long size;

	if (!file || !packets)
		fail("%s: cannot be opened", name);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	data = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
	if (size < 32 || !data || fread(data, 1, size, file) != (size_t)size)
		fail("%s: cannot be read", name);
	fclose(file);
	if (!strcmp(codec, "h264"))
		cut_annex_b(packets, data, size);
	else
		cut_ivf(packets, data, size);
	av_free(data);
	if (!packets->count)
		fail("%s: no packets", name);
	return packets;
}
