// SPDX-License-Identifier: GPL-2.0-only
/* Coded and decoded formats: which there are, and how frames lie in memory. */
#include <linux/math.h>
#include <linux/minmax.h>
#include <media/v4l2-common.h>

#include "driver.h"

/* Rows start at cache lines, which is also what GPUs ask of linear NV12. */
#define DAEDALUS_PITCH_ALIGN 64
/* Frames are whole macroblocks, so that decoders' pictures fit uncropped. */
#define DAEDALUS_SIZE_ALIGN  16
/* The most that a client can make rows longer than they need to be. */
#define DAEDALUS_MAX_PITCH   SZ_64K

struct daedalus_decoded {
	u32 pixelformat;
	unsigned int depth; /* bits per sample */
	unsigned int bytes; /* per sample */
	unsigned int buffers; /* that a frame lies in */
};

static const struct daedalus_decoded daedalus_decoded[] = {
	{ V4L2_PIX_FMT_NV12, 8, 1, 1 },
	{ V4L2_PIX_FMT_NV12M, 8, 1, 2 },
	{ V4L2_PIX_FMT_P010, 10, 2, 1 },
};

static const struct daedalus_decoded *daedalus_find_decoded(u32 pixelformat)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(daedalus_decoded); i++)
		if (daedalus_decoded[i].pixelformat == pixelformat)
			return &daedalus_decoded[i];
	return NULL;
}

unsigned int daedalus_depth(u32 pixelformat)
{
	const struct daedalus_decoded *decoded = daedalus_find_decoded(pixelformat);

	return decoded ? decoded->depth : 0;
}

/* The @n'th codec that the daemon has, or had when there was one. */
const struct daedalus_codec *daedalus_nth_codec(struct daedalus_device *dev, unsigned int n)
{
	/* Once: the next daemon may have others, and each has at least one. */
	u32 codecs = READ_ONCE(dev->daemon_caps.codecs);
	unsigned int i;

	for (i = 0; i < daedalus_num_codecs; i++)
		if ((daedalus_codecs[i].bit & codecs) && !n--)
			return &daedalus_codecs[i];
	return NULL;
}

const struct daedalus_codec *daedalus_find_codec(struct daedalus_device *dev, u32 pixelformat)
{
	const struct daedalus_codec *codec;
	unsigned int n;

	for (n = 0; (codec = daedalus_nth_codec(dev, n)); n++)
		if (codec->pixelformat == pixelformat)
			return codec;
	return NULL;
}

/* Whether pictures can have @depth: what the headers say, or what the codec has if @any. */
static bool daedalus_depth_fits(struct daedalus_context *ctx, unsigned int depth, bool any)
{
	unsigned int wanted = any ? 0 : READ_ONCE(ctx->depth);

	if (wanted)
		return depth == wanted;
	return depth == 8 || (READ_ONCE(ctx->dev->daemon_caps.codecs_10bit) & ctx->codec->bit);
}

/*
 * The @n'th decoded format for what the controls say about the stream; for anything of
 * this codec if @all.
 */
int daedalus_nth_decoded(struct daedalus_context *ctx, unsigned int n, bool all, u32 *pixelformat)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(daedalus_decoded); i++) {
		if (daedalus_depth_fits(ctx, daedalus_decoded[i].depth, all) && !n--) {
			*pixelformat = daedalus_decoded[i].pixelformat;
			return 0;
		}
	}
	return -EINVAL;
}

static void daedalus_clear(struct v4l2_pix_format_mplane *format)
{
	unsigned int i;

	format->field = V4L2_FIELD_NONE;
	format->flags = 0;
	for (i = 0; i < ARRAY_SIZE(format->plane_fmt); i++)
		memset(format->plane_fmt[i].reserved, 0, sizeof(format->plane_fmt[i].reserved));
	memset(format->reserved, 0, sizeof(format->reserved));
}

static void daedalus_clamp_size(struct daedalus_device *dev, struct v4l2_pix_format_mplane *format)
{
	format->width = clamp(format->width, 1, READ_ONCE(dev->daemon_caps.max_width));
	format->height = clamp(format->height, 1, READ_ONCE(dev->daemon_caps.max_height));
}

void daedalus_try_coded(struct daedalus_device *dev, struct v4l2_pix_format_mplane *format)
{
	const struct daedalus_codec *codec = daedalus_find_codec(dev, format->pixelformat);
	struct v4l2_plane_pix_format *plane = &format->plane_fmt[0];

	if (!codec)
		codec = daedalus_nth_codec(dev, 0);
	format->pixelformat = codec->pixelformat;
	daedalus_clamp_size(dev, format);
	daedalus_clear(format);
	format->num_planes = 1;
	plane->bytesperline = 0;
	/* Without a wish: what raw macroblocks of 8 bits take, which coded ones seldom do. */
	if (!plane->sizeimage)
		plane->sizeimage = min_t(u64, (u64)format->width * format->height * 3 / 2,
					 DAEDALUS_MAX_CODED_SIZE);
	plane->sizeimage = clamp(plane->sizeimage, SZ_64K, DAEDALUS_MAX_CODED_SIZE);
}

void daedalus_try_decoded(struct daedalus_context *ctx, struct v4l2_pix_format_mplane *format)
{
	const struct daedalus_decoded *decoded = daedalus_find_decoded(format->pixelformat);
	u32 pitch, luma, chroma, first;

	if (!decoded || !daedalus_depth_fits(ctx, decoded->depth, false)) {
		if (daedalus_nth_decoded(ctx, 0, false, &first))
			first = V4L2_PIX_FMT_NV12;
		decoded = daedalus_find_decoded(first);
	}
	format->pixelformat = decoded->pixelformat;
	daedalus_clamp_size(ctx->dev, format);
	format->width = ALIGN(format->width, DAEDALUS_SIZE_ALIGN);
	format->height = ALIGN(format->height, DAEDALUS_SIZE_ALIGN);
	daedalus_clear(format);

	pitch = min_t(u32, format->plane_fmt[0].bytesperline, DAEDALUS_MAX_PITCH);
	pitch = ALIGN(max_t(u32, pitch, format->width * decoded->bytes), DAEDALUS_PITCH_ALIGN);
	luma = pitch * format->height;
	chroma = luma / 2;
	format->num_planes = decoded->buffers;
	format->plane_fmt[0].bytesperline = pitch;
	format->plane_fmt[0].sizeimage = luma;
	if (decoded->buffers == 1) {
		format->plane_fmt[0].sizeimage += chroma;
	} else {
		format->plane_fmt[1].bytesperline = pitch;
		format->plane_fmt[1].sizeimage = chroma;
	}
}

/* Where the planes of a frame lie, for the daemon. */
void daedalus_describe_frame(const struct v4l2_pix_format_mplane *format,
			     struct daedalus_decode *decode)
{
	unsigned int i;

	decode->pixelformat = format->pixelformat;
	decode->width = format->width;
	decode->height = format->height;
	decode->num_buffers = format->num_planes;
	for (i = 0; i < DAEDALUS_MAX_PLANES; i++)
		decode->pitch[i] = format->plane_fmt[0].bytesperline;
	for (i = 0; i < format->num_planes; i++)
		decode->buffer_size[i] = format->plane_fmt[i].sizeimage;
	if (format->num_planes == 1)
		decode->offset[1] = format->plane_fmt[0].bytesperline * format->height;
}

/* The decoded format that goes with the coded one. */
static void daedalus_reset_decoded(struct daedalus_context *ctx)
{
	const struct v4l2_pix_format_mplane *coded = &ctx->coded_format;
	struct v4l2_pix_format_mplane *decoded = &ctx->decoded_format;

	memset(decoded, 0, sizeof(*decoded));
	decoded->width = coded->width;
	decoded->height = coded->height;
	decoded->colorspace = coded->colorspace;
	decoded->ycbcr_enc = coded->ycbcr_enc;
	decoded->quantization = coded->quantization;
	decoded->xfer_func = coded->xfer_func;
	daedalus_try_decoded(ctx, decoded);
}

/*
 * Whether buffers wait or are worked on, which were found to fit the format: it has to stay
 * then. Called with the queue's lock held.
 */
bool daedalus_has_prepared(struct vb2_queue *queue)
{
	unsigned int i;

	for (i = 0; i < queue->max_num_buffers; i++) {
		struct vb2_buffer *vb = vb2_get_buffer(queue, i);

		if (vb && vb->prepared)
			return true;
	}
	return false;
}

/*
 * A header may have said since that pictures are of another depth. While frames wait, such
 * headers are refused. Called with ctx->lock held.
 */
void daedalus_update_decoded(struct daedalus_context *ctx)
{
	if (!daedalus_has_prepared(&ctx->decoded) &&
	    !daedalus_depth_fits(ctx, daedalus_depth(ctx->decoded_format.pixelformat), false))
		daedalus_reset_decoded(ctx);
}

/* After the coded format was set, or at the beginning. */
void daedalus_reset_formats(struct daedalus_context *ctx)
{
	struct v4l2_pix_format_mplane *coded = &ctx->coded_format;

	if (!ctx->codec) {
		coded->width = 640;
		coded->height = 480;
		coded->colorspace = V4L2_COLORSPACE_REC709;
		daedalus_try_coded(ctx->dev, coded);
	}
	ctx->codec = daedalus_find_codec(ctx->dev, coded->pixelformat)
			     ?: daedalus_nth_codec(ctx->dev, 0);
	/* Frames of before may be what the next pictures refer to: those are of the same depth. */
	if (!vb2_is_busy(&ctx->decoded))
		WRITE_ONCE(ctx->depth, 0);
	daedalus_reset_decoded(ctx);
}
