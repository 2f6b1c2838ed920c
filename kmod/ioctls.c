// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of the video device, as
 * Documentation/userspace-api/media/v4l/dev-stateless-decoder.rst asks for them.
 */
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>

#include "driver.h"

static int daedalus_querycap(struct file *file, void *priv, struct v4l2_capability *cap)
{
	strscpy(cap->driver, DAEDALUS_NAME, sizeof(cap->driver));
	strscpy(cap->card, "Daedalus software decoder", sizeof(cap->card));
	return 0;
}

static int daedalus_enum_fmt_coded(struct file *file, void *priv, struct v4l2_fmtdesc *f)
{
	const struct daedalus_codec *codec =
		daedalus_nth_codec(daedalus_file_context(file)->dev, f->index);

	if (!codec)
		return -EINVAL;
	f->pixelformat = codec->pixelformat;
	return 0;
}

static int daedalus_enum_fmt_decoded(struct file *file, void *priv, struct v4l2_fmtdesc *f)
{
	struct daedalus_context *ctx = daedalus_file_context(file);
	bool all = false;

#ifdef V4L2_FMTDESC_FLAG_ENUM_ALL
	all = f->index & V4L2_FMTDESC_FLAG_ENUM_ALL;
	f->index &= ~V4L2_FMTDESC_FLAG_ENUM_ALL;
#endif
	return daedalus_nth_decoded(ctx, f->index, all, &f->pixelformat);
}

static int daedalus_enum_framesizes(struct file *file, void *priv, struct v4l2_frmsizeenum *size)
{
	struct daedalus_device *dev = daedalus_file_context(file)->dev;

	if (size->index || !daedalus_find_codec(dev, size->pixel_format))
		return -EINVAL;
	size->type = V4L2_FRMSIZE_TYPE_STEPWISE;
	size->stepwise.min_width = 1;
	size->stepwise.max_width = READ_ONCE(dev->daemon_caps.max_width);
	size->stepwise.step_width = 1;
	size->stepwise.min_height = 1;
	size->stepwise.max_height = READ_ONCE(dev->daemon_caps.max_height);
	size->stepwise.step_height = 1;
	return 0;
}

static int daedalus_g_fmt_coded(struct file *file, void *priv, struct v4l2_format *f)
{
	struct daedalus_context *ctx = daedalus_file_context(file);

	mutex_lock(&ctx->lock);
	f->fmt.pix_mp = ctx->coded_format;
	mutex_unlock(&ctx->lock);
	return 0;
}

static int daedalus_g_fmt_decoded(struct file *file, void *priv, struct v4l2_format *f)
{
	struct daedalus_context *ctx = daedalus_file_context(file);

	mutex_lock(&ctx->lock);
	daedalus_update_decoded(ctx);
	f->fmt.pix_mp = ctx->decoded_format;
	mutex_unlock(&ctx->lock);
	return 0;
}

static int daedalus_try_fmt_coded(struct file *file, void *priv, struct v4l2_format *f)
{
	daedalus_try_coded(daedalus_file_context(file)->dev, &f->fmt.pix_mp);
	return 0;
}

static int daedalus_try_fmt_decoded(struct file *file, void *priv, struct v4l2_format *f)
{
	struct daedalus_context *ctx = daedalus_file_context(file);

	mutex_lock(&ctx->lock);
	daedalus_try_decoded(ctx, &f->fmt.pix_mp);
	mutex_unlock(&ctx->lock);
	return 0;
}

static int daedalus_s_fmt_coded(struct file *file, void *priv, struct v4l2_format *f)
{
	struct daedalus_context *ctx = daedalus_file_context(file);
	struct v4l2_pix_format_mplane *format = &f->fmt.pix_mp;
	int ret = 0;

	daedalus_try_coded(ctx->dev, format);
	mutex_lock(&ctx->lock);
	/*
	 * VP9 and AV1 change the size of pictures between key frames: buffers of before may
	 * stay, as what later pictures refer to or what is still being shown. GStreamer does
	 * not stop the queues for that.
	 */
	if (daedalus_has_prepared(&ctx->coded) || daedalus_has_prepared(&ctx->decoded) ||
	    ((vb2_is_busy(&ctx->coded) || vb2_is_busy(&ctx->decoded)) &&
	     format->pixelformat != ctx->coded_format.pixelformat)) {
		ret = -EBUSY;
	} else {
		bool other = format->pixelformat != ctx->coded_format.pixelformat;

		ctx->coded_format = *format;
		daedalus_reset_formats(ctx);
		/* That is another session to the daemon. An OPEN of the former may be under way. */
		if (other)
			daedalus_notify(ctx, DAEDALUS_MSG_CLOSE);
	}
	mutex_unlock(&ctx->lock);
	return ret;
}

static int daedalus_s_fmt_decoded(struct file *file, void *priv, struct v4l2_format *f)
{
	struct daedalus_context *ctx = daedalus_file_context(file);
	struct v4l2_pix_format_mplane *format = &f->fmt.pix_mp;
	int ret = 0;

	mutex_lock(&ctx->lock);
	daedalus_try_decoded(ctx, format);
	if (vb2_is_busy(&ctx->decoded))
		ret = -EBUSY;
	else
		ctx->decoded_format = *format;
	mutex_unlock(&ctx->lock);
	return ret;
}

/* The queue of a buffer type, its lock held; to be followed by daedalus_unlock_queue(). */
static struct vb2_queue *daedalus_lock_queue(struct file *file, u32 type)
{
	struct daedalus_context *ctx = daedalus_file_context(file);

	mutex_lock(&ctx->lock);
	return V4L2_TYPE_IS_OUTPUT(type) ? &ctx->coded : &ctx->decoded;
}

static int daedalus_unlock_queue(struct vb2_queue *queue, int ret)
{
	mutex_unlock(queue->lock);
	return ret;
}

/* Both queues are mapped through one file: this tells their buffers apart. */
static void daedalus_adjust_offsets(struct vb2_queue *queue, struct v4l2_buffer *b)
{
	unsigned int i;

	if (b->memory != V4L2_MEMORY_MMAP || V4L2_TYPE_IS_OUTPUT(queue->type))
		return;
	for (i = 0; i < b->length; i++)
		b->m.planes[i].m.mem_offset += DAEDALUS_DECODED_OFFSET;
}

static int daedalus_reqbufs(struct file *file, void *priv, struct v4l2_requestbuffers *p)
{
	struct vb2_queue *queue = daedalus_lock_queue(file, p->type);

	daedalus_update_decoded(vb2_get_drv_priv(queue));
	return daedalus_unlock_queue(queue, vb2_reqbufs(queue, p));
}

static int daedalus_create_bufs(struct file *file, void *priv, struct v4l2_create_buffers *p)
{
	struct vb2_queue *queue = daedalus_lock_queue(file, p->format.type);

	daedalus_update_decoded(vb2_get_drv_priv(queue));
	return daedalus_unlock_queue(queue, vb2_create_bufs(queue, p));
}

/*
 * Whether a request has one of these buffers, or one that is made anew is just letting go of it.
 * videobuf2 (6.12 to 7.2 at least) then has it free to be queued and removed, and touches it once
 * more, without a lock: it is done with it when it has no request. Who has found one that is
 * neither may go on: with the queue's lock none becomes so.
 */
static bool daedalus_is_let_go(struct vb2_queue *queue, u32 first, u32 count)
{
	u32 i;

	for (i = 0; i < min_t(u32, count, queue->max_num_buffers); i++) {
		struct vb2_buffer *vb = vb2_get_buffer(queue, first + i);

		enum vb2_buffer_state state;

		if (!vb)
			continue;
		state = READ_ONCE(vb->state);
		if (state == VB2_BUF_STATE_IN_REQUEST ||
		    (state == VB2_BUF_STATE_DEQUEUED && READ_ONCE(vb->request)))
			return true;
	}
	return false;
}

static int daedalus_remove_bufs(struct file *file, void *priv, struct v4l2_remove_buffers *p)
{
	struct vb2_queue *queue = daedalus_lock_queue(file, p->type);

	if (queue->type != p->type)
		return daedalus_unlock_queue(queue, -EINVAL);
	if (daedalus_is_let_go(queue, p->index, p->count))
		return daedalus_unlock_queue(queue, -EBUSY);
	return daedalus_unlock_queue(queue, vb2_core_remove_bufs(queue, p->index, p->count));
}

static int daedalus_querybuf(struct file *file, void *priv, struct v4l2_buffer *b)
{
	struct vb2_queue *queue = daedalus_lock_queue(file, b->type);
	int ret = vb2_querybuf(queue, b);

	if (!ret)
		daedalus_adjust_offsets(queue, b);
	return daedalus_unlock_queue(queue, ret);
}

static int daedalus_qbuf(struct file *file, void *priv, struct v4l2_buffer *b)
{
	struct daedalus_context *ctx = daedalus_file_context(file);
	struct vb2_queue *queue;
	int ret;

	/* CAPTURE buffers are no part of requests. */
	if (V4L2_TYPE_IS_CAPTURE(b->type) && (b->flags & V4L2_BUF_FLAG_REQUEST_FD))
		return -EPERM;
	queue = daedalus_lock_queue(file, b->type);
	/* As videobuf2 says it of one that is in a request. */
	if (daedalus_is_let_go(queue, b->index, 1))
		return daedalus_unlock_queue(queue, b->flags & V4L2_BUF_FLAG_REQUEST_FD ? -EINVAL
											: -EBUSY);
	ret = vb2_qbuf(queue, &ctx->dev->mdev, b);
	if (!ret)
		daedalus_adjust_offsets(queue, b);
	return daedalus_unlock_queue(queue, ret);
}

static int daedalus_dqbuf(struct file *file, void *priv, struct v4l2_buffer *b)
{
	struct vb2_queue *queue = daedalus_lock_queue(file, b->type);
	/* Gives the lock up while it waits. */
	int ret = vb2_dqbuf(queue, b, file->f_flags & O_NONBLOCK);

	if (!ret)
		daedalus_adjust_offsets(queue, b);
	return daedalus_unlock_queue(queue, ret);
}

static int daedalus_prepare_buf(struct file *file, void *priv, struct v4l2_buffer *b)
{
	struct daedalus_context *ctx = daedalus_file_context(file);
	struct vb2_queue *queue = daedalus_lock_queue(file, b->type);
	int ret = vb2_prepare_buf(queue, &ctx->dev->mdev, b);

	if (!ret)
		daedalus_adjust_offsets(queue, b);
	return daedalus_unlock_queue(queue, ret);
}

static int daedalus_expbuf(struct file *file, void *priv, struct v4l2_exportbuffer *p)
{
	struct vb2_queue *queue = daedalus_lock_queue(file, p->type);

	return daedalus_unlock_queue(queue, vb2_expbuf(queue, p));
}

static int daedalus_streamon(struct file *file, void *priv, enum v4l2_buf_type type)
{
	struct vb2_queue *queue = daedalus_lock_queue(file, type);

	return daedalus_unlock_queue(queue, vb2_streamon(queue, type));
}

static int daedalus_streamoff(struct file *file, void *priv, enum v4l2_buf_type type)
{
	struct vb2_queue *queue = daedalus_lock_queue(file, type);

	return daedalus_unlock_queue(queue, vb2_streamoff(queue, type));
}

static int daedalus_try_decoder_cmd(struct file *file, void *priv, struct v4l2_decoder_cmd *cmd)
{
	if (cmd->cmd != V4L2_DEC_CMD_FLUSH)
		return -EINVAL;
	cmd->flags = 0;
	return 0;
}

static int daedalus_decoder_cmd(struct file *file, void *priv, struct v4l2_decoder_cmd *cmd)
{
	int ret = daedalus_try_decoder_cmd(file, priv, cmd);

	if (!ret)
		daedalus_flush_held(daedalus_file_context(file));
	return ret;
}

const struct v4l2_ioctl_ops daedalus_ioctl_ops = {
	.vidioc_querycap = daedalus_querycap,
	.vidioc_enum_framesizes = daedalus_enum_framesizes,

	.vidioc_enum_fmt_vid_cap = daedalus_enum_fmt_decoded,
	.vidioc_g_fmt_vid_cap_mplane = daedalus_g_fmt_decoded,
	.vidioc_try_fmt_vid_cap_mplane = daedalus_try_fmt_decoded,
	.vidioc_s_fmt_vid_cap_mplane = daedalus_s_fmt_decoded,

	.vidioc_enum_fmt_vid_out = daedalus_enum_fmt_coded,
	.vidioc_g_fmt_vid_out_mplane = daedalus_g_fmt_coded,
	.vidioc_try_fmt_vid_out_mplane = daedalus_try_fmt_coded,
	.vidioc_s_fmt_vid_out_mplane = daedalus_s_fmt_coded,

	.vidioc_reqbufs = daedalus_reqbufs,
	.vidioc_create_bufs = daedalus_create_bufs,
	.vidioc_remove_bufs = daedalus_remove_bufs,
	.vidioc_querybuf = daedalus_querybuf,
	.vidioc_qbuf = daedalus_qbuf,
	.vidioc_dqbuf = daedalus_dqbuf,
	.vidioc_prepare_buf = daedalus_prepare_buf,
	.vidioc_expbuf = daedalus_expbuf,
	.vidioc_streamon = daedalus_streamon,
	.vidioc_streamoff = daedalus_streamoff,

	.vidioc_decoder_cmd = daedalus_decoder_cmd,
	.vidioc_try_decoder_cmd = daedalus_try_decoder_cmd,

	.vidioc_subscribe_event = v4l2_ctrl_subscribe_event,
	.vidioc_unsubscribe_event = v4l2_event_unsubscribe,
};
