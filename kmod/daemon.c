// SPDX-License-Identifier: GPL-2.0-only
/* /dev/daedalus: see uapi/daedalus.h for what is said here. */
#include <linux/cred.h>
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <media/v4l2-ctrls.h>

#include "compat.h"
#include "driver.h"

/* The size of frames that a daemon may announce, in samples. */
#define DAEDALUS_MIN_LIMIT    16
#define DAEDALUS_MAX_LIMIT    16384
/* AV1's controls with the most tiles take about 10 KiB, and no other codec takes more. */
#define DAEDALUS_MAX_CONTROLS SZ_16K

/* A message that is being handed out; the rest of the memory is its content. */
struct daedalus_outgoing {
	size_t size;
	union {
		struct daedalus_message head;
		struct daedalus_open open;
		struct daedalus_decode decode;
		DECLARE_FLEX_ARRAY(u8, bytes);
	};
};

size_t daedalus_message_size(void)
{
	return sizeof(struct daedalus_decode) + DAEDALUS_MAX_CONTROLS + DAEDALUS_MAX_CODED_SIZE;
}

static bool daedalus_attached(struct daedalus_device *dev, struct file *file)
{
	return READ_ONCE(dev->daemon) == file;
}

/* Sends a notice to the daemon if it knows the session, and takes it over in any case. */
void daedalus_give_notice(struct daedalus_context *ctx, struct daedalus_notice *notice)
{
	struct daedalus_device *dev = ctx->dev;
	bool heard;

	notice->head.session = ctx->session;
	spin_lock(&dev->queue_lock);
	heard = dev->daemon && ctx->announced_to == dev->generation;
	if (heard) {
		if (notice->head.type == DAEDALUS_MSG_CLOSE)
			ctx->announced_to = 0;
		list_add_tail(&notice->list, &dev->notices);
		wake_up_interruptible(&dev->wait);
	}
	spin_unlock(&dev->queue_lock);
	if (!heard)
		kfree(notice);
}

/* The same for a notice that is nothing but its type. */
void daedalus_notify(struct daedalus_context *ctx, u32 type)
{
	/* Small allocations do not fail; a process that is being killed gets reserves. */
	struct daedalus_notice *notice = kzalloc(sizeof(*notice), GFP_KERNEL | __GFP_NOFAIL);

	notice->head.type = type;
	notice->head.size = sizeof(notice->head);
	daedalus_give_notice(ctx, notice);
}

static struct daedalus_outgoing *daedalus_open_message(struct daedalus_context *ctx)
{
	struct daedalus_outgoing *out = kzalloc_obj(*out);

	if (!out)
		return NULL;
	out->size = sizeof(out->open);
	out->open.head.type = DAEDALUS_MSG_OPEN;
	out->open.codec = ctx->codec->bit;
	out->open.uid = from_kuid_munged(current_user_ns(), ctx->uid);
	out->open.pid = pid_vnr(ctx->client);
	return out;
}

/* A request as a message: its controls become the current ones, and its bytes are copied. */
static struct daedalus_outgoing *daedalus_decode_message(struct daedalus_context *ctx,
							 struct daedalus_buffer *job)
{
	struct vb2_buffer *vb = &job->vb.vb2_buf;
	struct media_request *req = vb->req_obj.req;
	size_t skipped = vb->planes[0].data_offset;
	size_t data_size = vb2_get_plane_payload(vb, 0) - skipped;
	struct daedalus_outgoing *out = NULL;
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
	out = kvmalloc(sizeof(*out) + controls_size + data_size, GFP_KERNEL);
	if (!out)
		goto complete;
	memset(out, 0, sizeof(*out) + controls_size);

	out->decode.head.type = DAEDALUS_MSG_DECODE;
	out->decode.cookie = job->cookie;
	out->decode.timestamp = vb->timestamp;
	out->decode.buffer = job->frame->id;
	if (job->vb.flags & V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF)
		out->decode.flags |= DAEDALUS_DECODE_HOLD;
	daedalus_describe_frame(&ctx->decoded_format, &out->decode);
	out->decode.data_offset =
		sizeof(out->decode) + daedalus_copy_controls(ctx, out->bytes + sizeof(out->decode),
							     &out->decode.num_controls);
	out->decode.data_size = data_size;
	memcpy(out->bytes + out->decode.data_offset, data + skipped, data_size);
	out->size = out->decode.data_offset + data_size;
	job->frame->known_to = ctx->dev->generation;

complete:
	/* Later jobs change the controls: what this request has of them is final. */
	v4l2_ctrl_request_complete(req, &ctx->controls);
	return out;
}

/* The next message about a context that had a job when it was looked at, or NULL. */
static struct daedalus_outgoing *daedalus_next_message(struct daedalus_context *ctx)
{
	struct daedalus_device *dev = ctx->dev;
	struct daedalus_outgoing *out = NULL;
	struct daedalus_buffer *job;
	u64 cookie = 0;
	bool announced;

	mutex_lock(&ctx->lock);
	if (ctx->closed)
		goto unlock;
	spin_lock(&dev->queue_lock);
	announced = ctx->announced_to == dev->generation;
	spin_unlock(&dev->queue_lock);
	if (!announced) {
		out = daedalus_open_message(ctx);
		if (out) {
			spin_lock(&dev->queue_lock);
			ctx->announced_to = dev->generation;
			spin_unlock(&dev->queue_lock);
		}
		goto unlock;
	}
	job = daedalus_take_job(ctx);
	if (job) {
		cookie = job->cookie;
		out = daedalus_decode_message(ctx, job);
		if (!out)
			daedalus_finish_job(ctx, cookie, DAEDALUS_STATUS_FAILED);
	}
unlock:
	mutex_unlock(&ctx->lock);
	daedalus_update(ctx);
	if (out) {
		out->head.size = out->size;
		out->head.session = ctx->session;
	}
	return out;
}

/* The next context with a job, with a reference, or NULL; and the next notice before it. */
static struct daedalus_context *daedalus_next_ready(struct daedalus_device *dev,
						    struct daedalus_notice **notice)
{
	struct daedalus_context *ctx = NULL;

	spin_lock(&dev->queue_lock);
	*notice = list_first_entry_or_null(&dev->notices, struct daedalus_notice, list);
	if (*notice) {
		list_del(&(*notice)->list);
	} else {
		ctx = list_first_entry_or_null(&dev->ready, struct daedalus_context, ready);
		if (ctx) {
			/* Its next job, if it has one, comes after those of others. */
			list_del_init(&ctx->ready);
			kref_get(&ctx->ref);
		}
	}
	spin_unlock(&dev->queue_lock);
	return ctx;
}

static bool daedalus_has_message(struct daedalus_device *dev)
{
	bool has;

	spin_lock(&dev->queue_lock);
	has = !list_empty(&dev->notices) || !list_empty(&dev->ready);
	spin_unlock(&dev->queue_lock);
	return has;
}

static ssize_t daedalus_daemon_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	struct daedalus_device *dev = file->private_data;

	if (!daedalus_attached(dev, file))
		return -ENOTCONN;
	if (count < daedalus_message_size())
		return -EMSGSIZE;
	for (;;) {
		struct daedalus_outgoing *out;
		struct daedalus_context *ctx;
		struct daedalus_notice *notice;
		ssize_t ret;

		ctx = daedalus_next_ready(dev, &notice);
		if (notice) {
			ret = notice->head.size;
			if (copy_to_user(to, &notice->head, notice->head.size))
				ret = -EFAULT;
			kfree(notice);
			return ret;
		}
		if (!ctx) {
			if (file->f_flags & O_NONBLOCK)
				return -EAGAIN;
			ret = wait_event_interruptible(dev->wait, daedalus_has_message(dev));
			if (ret)
				return ret;
			continue;
		}
		out = daedalus_next_message(ctx);
		ret = 0;
		if (out) {
			ret = out->size;
			if (copy_to_user(to, &out->head, out->size)) {
				ret = -EFAULT;
				if (out->head.type == DAEDALUS_MSG_DECODE)
					daedalus_finish_job(ctx, out->decode.cookie,
							    DAEDALUS_STATUS_FAILED);
			}
			kvfree(out);
		}
		daedalus_context_put(ctx);
		if (ret)
			return ret;
		if (signal_pending(current))
			return -ERESTARTSYS;
	}
}

static __poll_t daedalus_daemon_poll(struct file *file, struct poll_table_struct *wait)
{
	struct daedalus_device *dev = file->private_data;

	poll_wait(file, &dev->wait, wait);
	if (!daedalus_attached(dev, file))
		return EPOLLERR;
	return daedalus_has_message(dev) ? EPOLLIN | EPOLLRDNORM : 0;
}

static bool daedalus_is_limit(u32 size)
{
	return size >= DAEDALUS_MIN_LIMIT && size <= DAEDALUS_MAX_LIMIT;
}

static int daedalus_attach(struct daedalus_device *dev, struct file *file,
			   struct daedalus_attach __user *user)
{
	const u32 known = DAEDALUS_CODEC_H264 | DAEDALUS_CODEC_VP9 | DAEDALUS_CODEC_AV1;
	struct daedalus_attach attach;
	int ret;

	if (copy_from_user(&attach, user, sizeof(attach)))
		return -EFAULT;
	if (attach.version != DAEDALUS_PROTOCOL_VERSION) {
		if (put_user(DAEDALUS_PROTOCOL_VERSION, &user->version))
			return -EFAULT;
		return -EPROTO;
	}
	if (!attach.codecs || (attach.codecs & ~known) || (attach.codecs_10bit & ~attach.codecs) ||
	    !daedalus_is_limit(attach.max_width) || !daedalus_is_limit(attach.max_height) ||
	    memchr_inv(attach.reserved, 0, sizeof(attach.reserved)))
		return -EINVAL;
	if (put_user(daedalus_message_size(), &user->message_size))
		return -EFAULT;

	mutex_lock(&dev->lock);
	if (dev->daemon) {
		ret = -EBUSY;
		goto unlock;
	}
	dev->daemon_caps = attach;
	ret = daedalus_register(dev);
	if (ret)
		goto unlock;
	spin_lock(&dev->queue_lock);
	dev->daemon = file;
	dev->generation++;
	spin_unlock(&dev->queue_lock);
	/* The next absence has a grace period of its own. */
	cancel_delayed_work(&dev->grace);
unlock:
	mutex_unlock(&dev->lock);
	return ret;
}

static int daedalus_get_buffer(struct daedalus_device *dev, struct daedalus_get_buffer __user *user)
{
	struct daedalus_get_buffer get;
	struct daedalus_context *ctx;
	struct daedalus_buffer *job;
	struct dma_buf *dbuf = NULL;
	int ret, fd = -1;

	if (copy_from_user(&get, user, sizeof(get)))
		return -EFAULT;
	ctx = daedalus_context_find(dev, get.session);
	if (!ctx)
		return -ENOENT;
	mutex_lock(&ctx->lock);
	job = ctx->closed ? NULL : daedalus_find_job(ctx, get.cookie);
	if (!job) {
		ret = -ENOENT;
	} else if (get.index >= job->frame->vb.vb2_buf.num_planes) {
		ret = -EINVAL;
	} else if (ctx->decoded.memory == VB2_MEMORY_DMABUF) {
		dbuf = job->frame->vb.vb2_buf.planes[get.index].dbuf;
		get_dma_buf(dbuf);
		ret = 0;
	} else {
		ret = vb2_core_expbuf(&ctx->decoded, &fd, ctx->decoded.type,
				      &job->frame->vb.vb2_buf, get.index, O_RDWR | O_CLOEXEC);
	}
	mutex_unlock(&ctx->lock);
	daedalus_context_put(ctx);
	if (dbuf) {
		fd = dma_buf_fd(dbuf, O_CLOEXEC);
		if (fd < 0) {
			dma_buf_put(dbuf);
			ret = fd;
		}
	}
	if (ret)
		return ret;
	/* The descriptor is the daemon's now, even if it gave no place for its number. */
	return put_user(fd, &user->fd);
}

static int daedalus_complete(struct daedalus_device *dev, struct daedalus_complete __user *user)
{
	struct daedalus_complete complete;
	struct daedalus_context *ctx;
	int ret;

	if (copy_from_user(&complete, user, sizeof(complete)))
		return -EFAULT;
	if (complete.status > DAEDALUS_STATUS_FAILED || complete.reserved)
		return -EINVAL;
	ctx = daedalus_context_find(dev, complete.session);
	if (!ctx)
		return -ENOENT;
	ret = daedalus_finish_job(ctx, complete.cookie, complete.status);
	daedalus_context_put(ctx);
	return ret;
}

static long daedalus_daemon_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct daedalus_device *dev = file->private_data;
	void __user *user = (void __user *)arg;

	if (cmd == DAEDALUS_IOC_ATTACH)
		return daedalus_attach(dev, file, user);
	if (!daedalus_attached(dev, file))
		return -ENOTCONN;
	switch (cmd) {
	case DAEDALUS_IOC_GET_BUFFER:
		return daedalus_get_buffer(dev, user);
	case DAEDALUS_IOC_COMPLETE:
		return daedalus_complete(dev, user);
	default:
		return -ENOTTY;
	}
}

/* The grace period is over and there is no daemon: what waits for one fails. */
void daedalus_grace_over(struct work_struct *work)
{
	struct daedalus_device *dev =
		container_of(to_delayed_work(work), struct daedalus_device, grace);
	struct daedalus_context *ctx;
	unsigned long index;

	mutex_lock(&dev->lock);
	if (!dev->daemon)
		xa_for_each(&dev->sessions, index, ctx)
			daedalus_fail_jobs(ctx, false);
	mutex_unlock(&dev->lock);
}

static int daedalus_daemon_open(struct inode *inode, struct file *file)
{
	struct miscdevice *misc = file->private_data;

	file->private_data = container_of(misc, struct daedalus_device, misc);
	return stream_open(inode, file);
}

/* The daemon is gone. What it had taken is lost. */
static int daedalus_daemon_release(struct inode *inode, struct file *file)
{
	struct daedalus_device *dev = file->private_data;
	struct daedalus_notice *notice, *next;
	struct daedalus_context *ctx;
	unsigned long index;
	LIST_HEAD(notices);

	if (!daedalus_attached(dev, file))
		return 0;
	mutex_lock(&dev->lock);
	spin_lock(&dev->queue_lock);
	dev->daemon = NULL;
	dev->absent_since = jiffies;
	list_splice_init(&dev->notices, &notices);
	spin_unlock(&dev->queue_lock);
	xa_for_each(&dev->sessions, index, ctx)
		daedalus_fail_jobs(ctx, true);
	mutex_unlock(&dev->lock);
	list_for_each_entry_safe(notice, next, &notices, list)
		kfree(notice);
	return 0;
}

const struct file_operations daedalus_daemon_fops = {
	.owner = THIS_MODULE,
	.open = daedalus_daemon_open,
	.release = daedalus_daemon_release,
	.read = daedalus_daemon_read,
	.poll = daedalus_daemon_poll,
	.unlocked_ioctl = daedalus_daemon_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
