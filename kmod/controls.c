// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stateless controls of each codec:
 * Documentation/userspace-api/media/v4l/ext-ctrls-codec-stateless.rst.
 *
 * Decoding is frame-based, so H.264's SLICE_PARAMS and PRED_WEIGHTS, which belong to
 * slice-based decoding, are not there. The control framework checks values against the
 * specifications; here is checked what the daemon can do.
 */
#include <linux/sched.h>
#include <media/media-request.h>
#include <media/v4l2-ctrls.h>

#include "driver.h"

static int daedalus_try_ctrl(struct v4l2_ctrl *ctrl);
static int daedalus_s_ctrl(struct v4l2_ctrl *ctrl);

static const struct v4l2_ctrl_ops daedalus_header_ops = {
	.try_ctrl = daedalus_try_ctrl,
	.s_ctrl = daedalus_s_ctrl,
};

static const struct daedalus_control_desc daedalus_h264_controls[] = {
	{
		.config.id = V4L2_CID_STATELESS_H264_DECODE_MODE,
		.config.min = V4L2_STATELESS_H264_DECODE_MODE_FRAME_BASED,
		.config.max = V4L2_STATELESS_H264_DECODE_MODE_FRAME_BASED,
		.config.def = V4L2_STATELESS_H264_DECODE_MODE_FRAME_BASED,
	},
	{
		.config.id = V4L2_CID_STATELESS_H264_START_CODE,
		.config.min = V4L2_STATELESS_H264_START_CODE_ANNEX_B,
		.config.max = V4L2_STATELESS_H264_START_CODE_ANNEX_B,
		.config.def = V4L2_STATELESS_H264_START_CODE_ANNEX_B,
	},
	{
		.config.id = V4L2_CID_STATELESS_H264_SPS,
		.config.ops = &daedalus_header_ops,
		.sent = true,
	},
	{
		.config.id = V4L2_CID_STATELESS_H264_PPS,
		.sent = true,
	},
	{
		.config.id = V4L2_CID_STATELESS_H264_SCALING_MATRIX,
		.sent = true,
	},
	{
		.config.id = V4L2_CID_STATELESS_H264_DECODE_PARAMS,
		.sent = true,
		.per_picture = true,
	},
	{
		.config.id = V4L2_CID_MPEG_VIDEO_H264_PROFILE,
		.config.min = V4L2_MPEG_VIDEO_H264_PROFILE_BASELINE,
		.config.max = V4L2_MPEG_VIDEO_H264_PROFILE_HIGH_10,
		.config.menu_skip_mask = BIT(V4L2_MPEG_VIDEO_H264_PROFILE_EXTENDED),
		.config.def = V4L2_MPEG_VIDEO_H264_PROFILE_MAIN,
	},
	{
		.config.id = V4L2_CID_MPEG_VIDEO_H264_LEVEL,
		.config.min = V4L2_MPEG_VIDEO_H264_LEVEL_1_0,
		.config.max = V4L2_MPEG_VIDEO_H264_LEVEL_6_2,
	},
};

static const struct daedalus_control_desc daedalus_vp9_controls[] = {
	{
		.config.id = V4L2_CID_STATELESS_VP9_FRAME,
		.config.ops = &daedalus_header_ops,
		.sent = true,
		.per_picture = true,
	},
	{
		.config.id = V4L2_CID_STATELESS_VP9_COMPRESSED_HDR,
		.sent = true,
	},
	{
		.config.id = V4L2_CID_MPEG_VIDEO_VP9_PROFILE,
		.config.min = V4L2_MPEG_VIDEO_VP9_PROFILE_0,
		.config.max = V4L2_MPEG_VIDEO_VP9_PROFILE_2,
		.config.menu_skip_mask = BIT(V4L2_MPEG_VIDEO_VP9_PROFILE_1),
		.config.def = V4L2_MPEG_VIDEO_VP9_PROFILE_0,
	},
};

static const struct daedalus_control_desc daedalus_av1_controls[] = {
	{
		.config.id = V4L2_CID_STATELESS_AV1_SEQUENCE,
		.config.ops = &daedalus_header_ops,
		.sent = true,
	},
	{
		.config.id = V4L2_CID_STATELESS_AV1_TILE_GROUP_ENTRY,
		.config.dims = { V4L2_AV1_MAX_TILE_COUNT },
		.sent = true,
		.per_picture = true,
	},
	{
		.config.id = V4L2_CID_STATELESS_AV1_FRAME,
		.sent = true,
		.per_picture = true,
	},
	{
		.config.id = V4L2_CID_STATELESS_AV1_FILM_GRAIN,
		.sent = true,
	},
	{
		.config.id = V4L2_CID_MPEG_VIDEO_AV1_PROFILE,
		.config.min = V4L2_MPEG_VIDEO_AV1_PROFILE_MAIN,
		.config.max = V4L2_MPEG_VIDEO_AV1_PROFILE_MAIN,
		.config.def = V4L2_MPEG_VIDEO_AV1_PROFILE_MAIN,
	},
	{
		.config.id = V4L2_CID_MPEG_VIDEO_AV1_LEVEL,
		.config.min = V4L2_MPEG_VIDEO_AV1_LEVEL_2_0,
		.config.max = V4L2_MPEG_VIDEO_AV1_LEVEL_7_3,
	},
};

const struct daedalus_codec daedalus_codecs[] = {
	{
		.pixelformat = V4L2_PIX_FMT_H264_SLICE,
		.bit = DAEDALUS_CODEC_H264,
		.controls = daedalus_h264_controls,
		.num_controls = ARRAY_SIZE(daedalus_h264_controls),
	},
	{
		.pixelformat = V4L2_PIX_FMT_VP9_FRAME,
		.bit = DAEDALUS_CODEC_VP9,
		.controls = daedalus_vp9_controls,
		.num_controls = ARRAY_SIZE(daedalus_vp9_controls),
	},
	{
		.pixelformat = V4L2_PIX_FMT_AV1_FRAME,
		.bit = DAEDALUS_CODEC_AV1,
		.controls = daedalus_av1_controls,
		.num_controls = ARRAY_SIZE(daedalus_av1_controls),
	},
};

const unsigned int daedalus_num_codecs = ARRAY_SIZE(daedalus_codecs);

/* What a header says about the samples of its pictures. */
struct daedalus_samples {
	u32 pixelformat; /* of the coded format */
	unsigned int depth;
	bool subsampled; /* 4:2:0 or monochrome */
};

static struct daedalus_samples daedalus_samples(u32 id, union v4l2_ctrl_ptr value)
{
	struct daedalus_samples samples = {};

	switch (id) {
	case V4L2_CID_STATELESS_H264_SPS:
		samples.pixelformat = V4L2_PIX_FMT_H264_SLICE;
		samples.depth = value.p_h264_sps->bit_depth_luma_minus8 + 8;
		samples.subsampled = value.p_h264_sps->chroma_format_idc <= 1 &&
				     value.p_h264_sps->bit_depth_chroma_minus8 ==
					     value.p_h264_sps->bit_depth_luma_minus8;
		break;
	case V4L2_CID_STATELESS_VP9_FRAME:
		samples.pixelformat = V4L2_PIX_FMT_VP9_FRAME;
		samples.depth = value.p_vp9_frame->bit_depth;
		samples.subsampled = !(value.p_vp9_frame->profile & 1);
		break;
	case V4L2_CID_STATELESS_AV1_SEQUENCE:
		samples.pixelformat = V4L2_PIX_FMT_AV1_FRAME;
		samples.depth = value.p_av1_sequence->bit_depth;
		samples.subsampled = value.p_av1_sequence->seq_profile == 0;
		break;
	}
	return samples;
}

static int daedalus_try_ctrl(struct v4l2_ctrl *ctrl)
{
	struct daedalus_samples samples = daedalus_samples(ctrl->id, ctrl->p_new);

	if (!samples.subsampled || (samples.depth != 8 && samples.depth != 10))
		return -EINVAL;
	return 0;
}

static int daedalus_s_ctrl(struct v4l2_ctrl *ctrl)
{
	struct daedalus_context *ctx =
		container_of(ctrl->handler, struct daedalus_context, controls);
	struct daedalus_samples samples = daedalus_samples(ctrl->id, ctrl->p_new);

	if (samples.pixelformat != ctx->coded_format.pixelformat)
		return 0;
	/* The frames that wait are for pictures of the other kind. */
	if (READ_ONCE(ctx->decoded.queued_count) &&
	    samples.depth != daedalus_depth(ctx->decoded_format.pixelformat))
		return -EBUSY;
	WRITE_ONCE(ctx->depth, samples.depth);
	return 0;
}

int daedalus_init_controls(struct daedalus_context *ctx)
{
	unsigned int i, j, count = 0;
	int ret;

	for (i = 0; i < daedalus_num_codecs; i++)
		count += daedalus_codecs[i].num_controls;
	v4l2_ctrl_handler_init(&ctx->controls, count);
	for (i = 0; i < daedalus_num_codecs; i++)
		for (j = 0; j < daedalus_codecs[i].num_controls; j++)
			v4l2_ctrl_new_custom(&ctx->controls, &daedalus_codecs[i].controls[j].config,
					     NULL);
	ret = ctx->controls.error ?: v4l2_ctrl_handler_setup(&ctx->controls);
	if (ret)
		v4l2_ctrl_handler_free(&ctx->controls);
	return ret;
}

/* A request that has values of a session's controls, kept from losing them. */
struct daedalus_kept {
	struct v4l2_ctrl_handler *copy; /* the values, or NULL */
	struct media_request *request; /* NULL: it is losing them already */
	void (*let_go)(struct media_request *request); /* NULL: it is, or it is queued */
};

/* The first request that has values of these controls. */
static struct daedalus_kept daedalus_keep_copy(struct v4l2_ctrl_handler *controls)
{
	struct daedalus_kept kept = {};

	mutex_lock(controls->lock);
	kept.copy =
		list_first_entry_or_null(&controls->requests, struct v4l2_ctrl_handler, requests);
	/* While they are in this list, it has not gone. */
	if (kept.copy)
		kept.request = READ_ONCE(kept.copy->req_obj.req);
	if (kept.request && !kref_get_unless_zero(&kept.request->kref))
		kept.request = NULL;
	if (!kept.request)
		;
	else if (!media_request_lock_for_update(kept.request))
		kept.let_go = media_request_unlock_for_update;
	else if (!media_request_lock_for_access(kept.request))
		kept.let_go = media_request_unlock_for_access;
	mutex_unlock(controls->lock);
	return kept;
}

/*
 * The session is over, and requests lose the values of its controls. The framework would not look
 * whether such a request goes or begins anew (MEDIA_REQUEST_IOC_REINIT) at the same time, and
 * loses them itself.
 */
void daedalus_free_controls(struct daedalus_context *ctx)
{
	struct daedalus_kept kept;

	while ((kept = daedalus_keep_copy(&ctx->controls)).copy) {
		/* The queues are empty, so none of these is queued, or about to be. */
		if (kept.let_go) {
			media_request_object_unbind(&kept.copy->req_obj);
			media_request_object_put(&kept.copy->req_obj);
			kept.let_go(kept.request);
		}
		if (kept.request)
			media_request_put(kept.request);
		if (!kept.let_go)
			schedule_timeout_uninterruptible(1);
	}
	v4l2_ctrl_handler_free(&ctx->controls);
}

/* The most bytes that the controls of @codec take in a message. */
static size_t daedalus_codec_controls_size(const struct daedalus_codec *codec,
					   struct v4l2_ctrl_handler *hdl)
{
	size_t size = 0;
	unsigned int i;

	for (i = 0; i < codec->num_controls; i++) {
		struct v4l2_ctrl *ctrl;

		if (!codec->controls[i].sent)
			continue;
		ctrl = v4l2_ctrl_find(hdl, codec->controls[i].config.id);
		if (ctrl)
			size += sizeof(struct daedalus_control) +
				ALIGN(ctrl->elem_size * (ctrl->is_dyn_array ? ctrl->dims[0] : 1),
				      8);
	}
	return size;
}

size_t daedalus_controls_size(struct daedalus_context *ctx)
{
	return daedalus_codec_controls_size(ctx->codec, &ctx->controls);
}

/*
 * Writes the current values as struct daedalus_control and what follows it, at most
 * daedalus_controls_size() bytes into zeroed memory. Returns the bytes.
 */
size_t daedalus_copy_controls(struct daedalus_context *ctx, void *to, u32 *count)
{
	void *start = to;
	unsigned int i;

	*count = 0;
	for (i = 0; i < ctx->codec->num_controls; i++) {
		const struct daedalus_control_desc *desc = &ctx->codec->controls[i];
		struct daedalus_control *control = to;
		struct v4l2_ctrl *ctrl;

		if (!desc->sent)
			continue;
		ctrl = v4l2_ctrl_find(&ctx->controls, desc->config.id);
		if (!ctrl)
			continue;
		v4l2_ctrl_lock(ctrl);
		control->id = ctrl->id;
		control->size = ctrl->elems * ctrl->elem_size;
		memcpy(control + 1, ctrl->p_cur.p_const, control->size);
		v4l2_ctrl_unlock(ctrl);
		to += sizeof(*control) + ALIGN(control->size, 8);
		++*count;
	}
	return to - start;
}
