// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the daemon. A request is copied when its client queues it, in the client's
 * own context and with the client's locks, which the daemon need not take then.
 */
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <media/v4l2-ctrls.h>

#include "compat.h"
#include "driver.h"

/* AV1's controls with the most tiles take about 10 KiB, and no other codec takes more. */
#define DAEDALUS_MAX_CONTROLS SZ_16K

size_t daedalus_message_size(void)
{
	return sizeof(struct daedalus_decode) + DAEDALUS_MAX_CONTROLS + DAEDALUS_MAX_CODED_SIZE;
}

/* What a daemon hears first of a session. Called by the daemon. */
struct daedalus_message_copy *daedalus_open_message(struct daedalus_context *ctx)
{
	struct daedalus_message_copy *copy = kzalloc_obj(*copy);

	if (!copy)
		return NULL;
	copy->head.type = DAEDALUS_MSG_OPEN;
	copy->head.size = sizeof(copy->open);
	copy->head.session = ctx->session;
	copy->open.codec = ctx->codec->bit;
	copy->open.uid = from_kuid_munged(current_user_ns(), ctx->uid);
	copy->open.pid = pid_vnr(ctx->client);
	return copy;
}

/*
 * Copies a request that is being queued, all but what daedalus_describe_job() adds: its
 * controls become the current ones, and its bytes are copied. NULL if that is not
 * possible. Called with ctx->lock held.
 */
struct daedalus_message_copy *daedalus_decode_message(struct daedalus_context *ctx,
						      struct daedalus_buffer *buffer)
{
	struct vb2_buffer *vb = &buffer->vb.vb2_buf;
	struct media_request *req = vb->req_obj.req;
	size_t skipped = vb->planes[0].data_offset;
	size_t data_size = vb2_get_plane_payload(vb, 0) - skipped;
	struct daedalus_message_copy *copy = NULL;
	size_t controls_size;
	void *data;

	if (v4l2_ctrl_request_setup(req, &ctx->controls))
		goto complete;
	data = vb2_plane_vaddr(vb, 0);
	if (!data)
		goto complete;
	controls_size = daedalus_controls_size(ctx);
	if (WARN_ON_ONCE(controls_size > DAEDALUS_MAX_CONTROLS))
		goto complete;
	copy = daedalus_data_alloc(sizeof(*copy) + controls_size + data_size);
	if (!copy)
		goto complete;
	memset(copy, 0, sizeof(*copy) + controls_size);

	copy->decode.data_offset = sizeof(copy->decode) +
				   daedalus_copy_controls(ctx, copy->bytes + sizeof(copy->decode),
							  &copy->decode.num_controls);
	copy->decode.data_size = data_size;
	memcpy(copy->bytes + copy->decode.data_offset, data + skipped, data_size);
	copy->head.type = DAEDALUS_MSG_DECODE;
	copy->head.size = copy->decode.data_offset + data_size;
	copy->head.session = ctx->session;
	copy->decode.timestamp = vb->timestamp;

complete:
	/* Later requests change the controls: what this one has of them is final. */
	v4l2_ctrl_request_complete(req, &ctx->controls);
	return copy;
}

/* Adds what is known when a job is made of a request. Called with ctx->jobs_lock held. */
void daedalus_describe_job(struct daedalus_context *ctx, struct daedalus_buffer *job,
			   struct daedalus_message_copy *copy)
{
	copy->decode.cookie = job->cookie;
	copy->decode.buffer = job->frame->id;
	if (job->vb.flags & V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF)
		copy->decode.flags |= DAEDALUS_DECODE_HOLD;
	daedalus_describe_frame(&ctx->decoded_format, &copy->decode);
	job->frame->known_to = ctx->dev->generation;
}
