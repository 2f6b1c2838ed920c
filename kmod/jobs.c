// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues, and jobs: an OUTPUT buffer with its request, and a CAPTURE buffer.
 *
 * A job leaves both waiting lists when the daemon takes it, and its buffers go back to
 * the client when it and all before it are finished, so in decode order whatever the
 * daemon does. A CAPTURE buffer that is held (V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF) is
 * part of several jobs.
 */
#include <linux/slab.h>
#include <media/v4l2-ctrls.h>
#include <media/videobuf2-v4l2.h>

#include "compat.h"
#include "driver.h"

static struct daedalus_buffer *daedalus_first(struct list_head *list)
{
	return list_first_entry_or_null(list, struct daedalus_buffer, list);
}

/* Gives a CAPTURE buffer back. */
static void daedalus_frame_done(struct daedalus_context *ctx, struct daedalus_buffer *frame)
{
	const struct v4l2_pix_format_mplane *format = &ctx->decoded_format;
	struct vb2_buffer *vb = &frame->vb.vb2_buf;
	bool empty = frame->worst == DAEDALUS_STATUS_FAILED;
	unsigned int i;

	for (i = 0; i < vb->num_planes; i++)
		vb2_set_plane_payload(vb, i, empty ? 0 : format->plane_fmt[i].sizeimage);
	vb2_buffer_done(vb, frame->worst == DAEDALUS_STATUS_OK ? VB2_BUF_STATE_DONE
							       : VB2_BUF_STATE_ERROR);
}

/* No later job will write the held frame. */
static void daedalus_release_held(struct daedalus_context *ctx)
{
	struct daedalus_buffer *frame = ctx->held;

	if (!frame)
		return;
	ctx->held = NULL;
	frame->held = false;
	if (!frame->users)
		daedalus_frame_done(ctx, frame);
}

/* Gives the buffers of the first job back. */
static void daedalus_retire(struct daedalus_context *ctx, struct daedalus_buffer *job)
{
	struct daedalus_statistics *statistics = &ctx->dev->statistics;
	struct daedalus_buffer *frame = job->frame;

	list_del(&job->list);
	job->frame = NULL;
	frame->users--;
	frame->worst = max(frame->worst, job->status);
	atomic_dec(&statistics->jobs);
	atomic64_inc(job->status == DAEDALUS_STATUS_FAILED ? &statistics->failed
							   : &statistics->completed);
	/*
	 * First the frame: who polls the request expects it to be there. The request itself
	 * does not go here, with locks that its client can hold: videobuf2 has a reference
	 * until the client takes the buffer back.
	 */
	if (!frame->users && !frame->held)
		daedalus_frame_done(ctx, frame);
	vb2_buffer_done(&job->vb.vb2_buf, job->status == DAEDALUS_STATUS_OK ? VB2_BUF_STATE_DONE
									    : VB2_BUF_STATE_ERROR);
}

/* Whether there is a job to take; a held frame that the next one has no part in goes back. */
static bool daedalus_has_job(struct daedalus_context *ctx)
{
	struct daedalus_buffer *next = daedalus_first(&ctx->waiting_coded);

	if (!next)
		return false;
	if (ctx->held && ctx->held->vb.vb2_buf.timestamp != next->vb.vb2_buf.timestamp)
		daedalus_release_held(ctx);
	return ctx->held || !list_empty(&ctx->waiting_decoded);
}

/* Makes a job of the first waiting buffers. */
static struct daedalus_buffer *daedalus_claim(struct daedalus_context *ctx)
{
	const u32 copied = V4L2_BUF_FLAG_TIMECODE | V4L2_BUF_FLAG_TSTAMP_SRC_MASK;
	struct daedalus_buffer *job, *frame;

	if (!daedalus_has_job(ctx))
		return NULL;
	job = daedalus_first(&ctx->waiting_coded);
	list_move_tail(&job->list, &ctx->jobs);
	job->cookie = atomic64_inc_return(&ctx->dev->last_cookie);
	job->generation = READ_ONCE(ctx->dev->generation);
	job->finished = false;
	job->vb.sequence = ctx->coded_sequence++;
	atomic_inc(&ctx->dev->statistics.jobs);

	frame = ctx->held;
	if (!frame) {
		frame = daedalus_first(&ctx->waiting_decoded);
		list_del_init(&frame->list);
		frame->worst = DAEDALUS_STATUS_OK;
		frame->users = 0;
		frame->vb.sequence = ctx->decoded_sequence++;
		frame->vb.vb2_buf.timestamp = job->vb.vb2_buf.timestamp;
		frame->vb.vb2_buf.copied_timestamp = 1;
		frame->vb.timecode = job->vb.timecode;
		frame->vb.field = job->vb.field;
		frame->vb.flags &= ~copied;
		frame->vb.flags |= job->vb.flags & copied;
	}
	frame->users++;
	frame->held = job->vb.flags & V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF;
	ctx->held = frame->held ? frame : NULL;
	job->frame = frame;
	return job;
}

/* Gives back a coded buffer that no daemon has taken. */
static void daedalus_drop_coded(struct daedalus_context *ctx, struct daedalus_buffer *buffer)
{
	atomic64_inc(&ctx->dev->statistics.cancelled);
	list_del(&buffer->list);
	kvfree(buffer->message);
	buffer->message = NULL;
	vb2_buffer_done(&buffer->vb.vb2_buf, VB2_BUF_STATE_ERROR);
}

/* Tells the daemon whether this context has a job. Called with jobs_lock held. */
static void daedalus_update_locked(struct daedalus_context *ctx)
{
	struct daedalus_device *dev = ctx->dev;
	bool job = daedalus_has_job(ctx);

	spin_lock(&dev->queue_lock);
	if (!job) {
		list_del_init(&ctx->ready);
	} else if (list_empty(&ctx->ready)) {
		list_add_tail(&ctx->ready, &dev->ready);
		wake_up_interruptible(&dev->wait);
	}
	if (job && !dev->daemon) {
		unsigned long over = dev->absent_since + msecs_to_jiffies(daedalus_grace_ms);

		schedule_delayed_work(&dev->grace, time_after(over, jiffies) ? over - jiffies : 0);
	}
	spin_unlock(&dev->queue_lock);
}

void daedalus_update(struct daedalus_context *ctx)
{
	mutex_lock(&ctx->jobs_lock);
	daedalus_update_locked(ctx);
	mutex_unlock(&ctx->jobs_lock);
}

/* The daemon has done with a job that its client has back already. */
static void daedalus_settle(struct daedalus_charge *charge)
{
	list_del(&charge->list);
	daedalus_uncharge_request(charge);
}

/* Or there is no daemon any more that has anything of these. */
void daedalus_settle_list(struct list_head *list)
{
	struct daedalus_charge *charge, *next;

	list_for_each_entry_safe(charge, next, list, list)
		daedalus_settle(charge);
}

/* The session is over. The daemon gets to know, but it may have the data for a while. */
void daedalus_leave_owed(struct daedalus_context *ctx)
{
	struct daedalus_device *dev = ctx->dev;
	struct daedalus_charge *charge, *next;
	LIST_HEAD(settled);

	mutex_lock(&ctx->jobs_lock);
	spin_lock(&dev->queue_lock);
	list_for_each_entry_safe(charge, next, &ctx->owed, list) {
		bool there = dev->daemon && charge->generation == dev->generation;

		list_move_tail(&charge->list, there ? &dev->left : &settled);
	}
	spin_unlock(&dev->queue_lock);
	mutex_unlock(&ctx->jobs_lock);
	daedalus_settle_list(&settled);
}

/* The daemon has done a job of a session that is over. */
void daedalus_settle_left(struct daedalus_device *dev, u64 cookie)
{
	struct daedalus_charge *charge, *next;
	LIST_HEAD(settled);

	spin_lock(&dev->queue_lock);
	list_for_each_entry_safe(charge, next, &dev->left, list)
		if (charge->cookie == cookie)
			list_move_tail(&charge->list, &settled);
	spin_unlock(&dev->queue_lock);
	daedalus_settle_list(&settled);
}

/* A job goes back to its client, and the daemon has it still. Called with jobs_lock held. */
static void daedalus_owe(struct daedalus_context *ctx, struct daedalus_buffer *job)
{
	if (WARN_ON_ONCE(!job->charge))
		return;
	job->charge->cookie = job->cookie;
	job->charge->generation = job->generation;
	list_add_tail(&job->charge->list, &ctx->owed);
	job->charge = NULL;
}

/* A job ends without a picture. */
static void daedalus_fail_job(struct daedalus_buffer *job)
{
	kvfree(job->message);
	job->message = NULL;
	job->status = DAEDALUS_STATUS_FAILED;
	job->finished = true;
}

/* Gives back what is finished, in decode order. */
static void daedalus_retire_finished(struct daedalus_context *ctx)
{
	struct daedalus_buffer *job;

	while ((job = daedalus_first(&ctx->jobs)) && job->finished)
		daedalus_retire(ctx, job);
}

/* Takes the next job for the daemon: its message, or NULL if there is none. */
struct daedalus_message_copy *daedalus_take_job(struct daedalus_context *ctx)
{
	struct daedalus_message_copy *copy = NULL;
	struct daedalus_buffer *job;

	mutex_lock(&ctx->jobs_lock);
	job = daedalus_claim(ctx);
	if (job && job->message) {
		copy = job->message;
		job->message = NULL;
		daedalus_describe_job(ctx, job, copy);
	} else if (job) {
		daedalus_fail_job(job);
		daedalus_retire_finished(ctx);
	}
	mutex_unlock(&ctx->jobs_lock);
	return copy;
}

/* A job that the daemon has. Called with ctx->jobs_lock held. */
struct daedalus_buffer *daedalus_find_job(struct daedalus_context *ctx, u64 cookie)
{
	struct daedalus_buffer *job;

	list_for_each_entry(job, &ctx->jobs, list)
		if (job->cookie == cookie && !job->finished)
			return job;
	return NULL;
}

/* The daemon has done a job. */
int daedalus_finish_job(struct daedalus_context *ctx, u64 cookie, u32 status)
{
	struct daedalus_charge *charge, *next;
	struct daedalus_buffer *job;

	mutex_lock(&ctx->jobs_lock);
	job = daedalus_find_job(ctx, cookie);
	if (job) {
		job->finished = true;
		job->status = status;
		daedalus_retire_finished(ctx);
	} else {
		list_for_each_entry_safe(charge, next, &ctx->owed, list)
			if (charge->cookie == cookie)
				daedalus_settle(charge);
		/* Or the session has ended since it was looked up. */
		daedalus_settle_left(ctx->dev, cookie);
	}
	mutex_unlock(&ctx->jobs_lock);
	return job ? 0 : -ENOENT;
}

/* Fails the jobs that the daemon has taken, when it has died, or those that wait for one. */
void daedalus_fail_jobs(struct daedalus_context *ctx, bool taken)
{
	struct daedalus_buffer *job;

	mutex_lock(&ctx->jobs_lock);
	if (taken) {
		daedalus_settle_list(&ctx->owed);
		list_for_each_entry(job, &ctx->jobs, list)
			if (!job->finished)
				daedalus_fail_job(job);
	}
	while (!taken && (job = daedalus_claim(ctx)))
		daedalus_fail_job(job);
	daedalus_retire_finished(ctx);
	daedalus_update_locked(ctx);
	mutex_unlock(&ctx->jobs_lock);
}

/* V4L2_DEC_CMD_FLUSH: nothing more is to come for the held frame. */
void daedalus_flush_held(struct daedalus_context *ctx)
{
	mutex_lock(&ctx->jobs_lock);
	if (list_empty(&ctx->waiting_coded)) {
		daedalus_release_held(ctx);
	} else {
		struct daedalus_buffer *last =
			list_last_entry(&ctx->waiting_coded, struct daedalus_buffer, list);

		last->vb.flags &= ~V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF;
	}
	mutex_unlock(&ctx->jobs_lock);
}

static int daedalus_queue_setup(struct vb2_queue *queue, unsigned int *num_buffers,
				unsigned int *num_planes, unsigned int sizes[],
				struct device *alloc_devs[])
{
	struct daedalus_context *ctx = vb2_get_drv_priv(queue);
	const struct v4l2_pix_format_mplane *format =
		V4L2_TYPE_IS_OUTPUT(queue->type) ? &ctx->coded_format : &ctx->decoded_format;
	unsigned int i;

	if (!*num_planes) {
		*num_planes = format->num_planes;
		for (i = 0; i < format->num_planes; i++)
			sizes[i] = format->plane_fmt[i].sizeimage;
		return 0;
	}
	/* VIDIOC_CREATE_BUFS: larger ones are welcome. */
	if (*num_planes != format->num_planes)
		return -EINVAL;
	for (i = 0; i < format->num_planes; i++)
		if (sizes[i] < format->plane_fmt[i].sizeimage)
			return -EINVAL;
	return 0;
}

static int daedalus_buf_out_validate(struct vb2_buffer *vb)
{
	to_vb2_v4l2_buffer(vb)->field = V4L2_FIELD_NONE;
	return 0;
}

static int daedalus_buf_init(struct vb2_buffer *vb)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(vb->vb2_queue);
	struct daedalus_buffer *buffer = to_daedalus_buffer(vb);
	int ret = daedalus_pin_imports(vb);

	if (ret)
		return ret;
	INIT_LIST_HEAD(&buffer->list);
	if (V4L2_TYPE_IS_CAPTURE(vb->type)) {
		/* Now, so that the news of its end cannot fail. */
		buffer->forget = kzalloc_obj(*buffer->forget);
		if (!buffer->forget)
			return -ENOMEM;
		buffer->id = atomic64_inc_return(&ctx->dev->last_buffer);
		buffer->known_to = 0;
	}
	buffer->initialised = true;
	atomic_inc(&ctx->dev->statistics.buffers);
	return 0;
}

/* The memory goes, or another dma-buf takes its place. May be told twice. */
void daedalus_buf_cleanup(struct vb2_buffer *vb)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(vb->vb2_queue);
	struct daedalus_buffer *buffer = to_daedalus_buffer(vb);
	struct daedalus_notice *forget = buffer->forget;

	if (!buffer->initialised)
		return;
	buffer->initialised = false;
	atomic_dec(&ctx->dev->statistics.buffers);
	/* One that was prepared and never queued. */
	daedalus_uncharge_request(buffer->charge);
	buffer->charge = NULL;
	buffer->forget = NULL;
	if (!forget)
		return;
	forget->head.type = DAEDALUS_MSG_FORGET;
	forget->head.size = sizeof(forget->forget);
	forget->forget.buffer = buffer->id;
	if (buffer->known_to)
		daedalus_give_notice(ctx, forget);
	else
		kfree(forget);
}

static int daedalus_buf_prepare(struct vb2_buffer *vb)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(vb->vb2_queue);
	struct daedalus_buffer *buffer = to_daedalus_buffer(vb);
	unsigned int i;

	if (V4L2_TYPE_IS_OUTPUT(vb->type)) {
		unsigned long payload = vb2_get_plane_payload(vb, 0);
		unsigned long skipped = vb->planes[0].data_offset;
		struct daedalus_charge *charge;

		/* A daemon has room for messages of this size. */
		if (payload <= skipped || payload - skipped > DAEDALUS_MAX_CODED_SIZE)
			return -EINVAL;
		charge = daedalus_charge_request(ctx, payload - skipped);
		if (IS_ERR(charge))
			return PTR_ERR(charge);
		buffer->charge = charge;
		return 0;
	}
	/* It may have been made for another format. */
	if (vb->num_planes != ctx->decoded_format.num_planes)
		return -EINVAL;
	for (i = 0; i < ctx->decoded_format.num_planes; i++)
		if (vb2_plane_size(vb, i) < ctx->decoded_format.plane_fmt[i].sizeimage)
			return -EINVAL;
	return 0;
}

/* The client has the buffer again, or never queued it. */
static void daedalus_buf_finish(struct vb2_buffer *vb)
{
	struct daedalus_buffer *buffer = to_daedalus_buffer(vb);

	daedalus_uncharge_request(buffer->charge);
	buffer->charge = NULL;
}

static void daedalus_buf_queue(struct vb2_buffer *vb)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(vb->vb2_queue);
	struct daedalus_buffer *buffer = to_daedalus_buffer(vb);

	if (V4L2_TYPE_IS_OUTPUT(vb->type))
		buffer->message = daedalus_decode_message(ctx, buffer);
	mutex_lock(&ctx->jobs_lock);
	list_add_tail(&buffer->list,
		      V4L2_TYPE_IS_OUTPUT(vb->type) ? &ctx->waiting_coded : &ctx->waiting_decoded);
	daedalus_update_locked(ctx);
	mutex_unlock(&ctx->jobs_lock);
}

static void daedalus_buf_request_complete(struct vb2_buffer *vb)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(vb->vb2_queue);

	v4l2_ctrl_request_complete(vb->req_obj.req, &ctx->controls);
}

/*
 * Takes everything back at once. The daemon may still be writing into a frame: its memory
 * stays until it is done, and the next picture for it is decoded after that.
 */
static void daedalus_stop_streaming(struct vb2_queue *queue)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(queue);
	struct daedalus_buffer *buffer;
	bool cancelled = false;

	mutex_lock(&ctx->jobs_lock);
	list_for_each_entry(buffer, &ctx->jobs, list) {
		if (buffer->finished)
			continue;
		daedalus_owe(ctx, buffer);
		daedalus_fail_job(buffer);
		atomic64_inc(&ctx->dev->statistics.cancelled);
		cancelled = true;
	}
	daedalus_retire_finished(ctx);
	daedalus_release_held(ctx);
	/* Counted from when streaming begins; the daemon takes jobs before that is told here. */
	if (V4L2_TYPE_IS_OUTPUT(queue->type)) {
		ctx->coded_sequence = 0;
		while ((buffer = daedalus_first(&ctx->waiting_coded)))
			daedalus_drop_coded(ctx, buffer);
	} else {
		ctx->decoded_sequence = 0;
		while ((buffer = daedalus_first(&ctx->waiting_decoded))) {
			list_del_init(&buffer->list);
			vb2_buffer_done(&buffer->vb.vb2_buf, VB2_BUF_STATE_ERROR);
		}
	}
	daedalus_update_locked(ctx);
	mutex_unlock(&ctx->jobs_lock);
	if (cancelled)
		daedalus_notify(ctx, DAEDALUS_MSG_FLUSH);
}

static const struct vb2_ops daedalus_queue_ops = {
	.queue_setup = daedalus_queue_setup,
	.buf_out_validate = daedalus_buf_out_validate,
	.buf_init = daedalus_buf_init,
	.buf_cleanup = daedalus_buf_cleanup,
	.buf_prepare = daedalus_buf_prepare,
	.buf_finish = daedalus_buf_finish,
	.buf_queue = daedalus_buf_queue,
	.buf_request_complete = daedalus_buf_request_complete,
	.stop_streaming = daedalus_stop_streaming,
#ifdef DAEDALUS_WAIT_OPS
	.wait_prepare = vb2_ops_wait_prepare,
	.wait_finish = vb2_ops_wait_finish,
#endif
};

static int daedalus_init_queue(struct daedalus_context *ctx, struct vb2_queue *queue,
			       enum v4l2_buf_type type)
{
	queue->type = type;
	queue->io_modes = VB2_MMAP | VB2_DMABUF;
	queue->dev = ctx->dev->v4l2_dev.dev;
	queue->drv_priv = ctx;
	queue->ops = &daedalus_queue_ops;
	queue->mem_ops = &daedalus_memory_ops;
	/* Their memory is the client's in its control group, too. */
	queue->gfp_flags = __GFP_ACCOUNT;
	queue->buf_struct_size = sizeof(struct daedalus_buffer);
	queue->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
	queue->max_num_buffers = DAEDALUS_MAX_BUFFERS;
	queue->lock = &ctx->lock;
	return vb2_queue_init(queue);
}

int daedalus_init_queues(struct daedalus_context *ctx)
{
	int ret;

	ctx->coded.supports_requests = true;
	ctx->coded.subsystem_flags = VB2_V4L2_FL_SUPPORTS_M2M_HOLD_CAPTURE_BUF;
	ret = daedalus_init_queue(ctx, &ctx->coded, V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE);
	if (ret)
		return ret;
	return daedalus_init_queue(ctx, &ctx->decoded, V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE);
}
