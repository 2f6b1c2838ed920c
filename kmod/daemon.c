// SPDX-License-Identifier: GPL-2.0-only
/* /dev/daedalus: see uapi/daedalus.h for what is said here. */
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "driver.h"

/* The size of frames that a daemon may announce, in samples. */
#define DAEDALUS_MIN_LIMIT 16
#define DAEDALUS_MAX_LIMIT 16384

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

/* The next message about a context that had a job when it was looked at, or NULL. */
static struct daedalus_message_copy *daedalus_next_message(struct daedalus_context *ctx)
{
	struct daedalus_device *dev = ctx->dev;
	struct daedalus_message_copy *copy;
	bool announced, closed;

	/*
	 * At once: a CLOSE that comes now has to follow the OPEN that is being made, and one
	 * that nobody was to hear must not be followed by it.
	 */
	spin_lock(&dev->queue_lock);
	closed = ctx->closed;
	announced = ctx->announced_to == dev->generation;
	if (!closed)
		ctx->announced_to = dev->generation;
	spin_unlock(&dev->queue_lock);
	if (closed)
		return NULL;
	if (announced) {
		copy = daedalus_take_job(ctx);
	} else {
		copy = daedalus_open_message(ctx);
		if (!copy) {
			spin_lock(&dev->queue_lock);
			ctx->announced_to = 0;
			spin_unlock(&dev->queue_lock);
		}
	}
	daedalus_update(ctx);
	return copy;
}

/*
 * The context whose turn it is, or NULL. Turns are users', so that many sessions of one take
 * none from another's; those of one user take turns, too. Called with queue_lock held.
 */
static struct daedalus_context *daedalus_pick_ready(struct daedalus_device *dev)
{
	struct daedalus_context *ctx, *first = NULL;

	list_for_each_entry(ctx, &dev->ready, ready)
		if (!first || ctx->user->turn < first->user->turn)
			first = ctx;
	if (first)
		first->user->turn = ++dev->last_turn;
	return first;
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
		ctx = daedalus_pick_ready(dev);
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
		struct daedalus_message_copy *copy;
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
		copy = daedalus_next_message(ctx);
		ret = 0;
		if (copy) {
			ret = copy->head.size;
			/* None is larger than daedalus_message_size(). */
			if (WARN_ON_ONCE(copy->head.size > count) ||
			    copy_to_user(to, &copy->head, copy->head.size)) {
				ret = -EFAULT;
				if (copy->head.type == DAEDALUS_MSG_DECODE)
					daedalus_finish_job(ctx, copy->decode.cookie,
							    DAEDALUS_STATUS_FAILED);
			}
			kvfree(copy);
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
	/* A job that is under way keeps its frame. */
	mutex_lock(&ctx->jobs_lock);
	job = daedalus_find_job(ctx, get.cookie);
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
	mutex_unlock(&ctx->jobs_lock);
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
	if (!ctx) {
		daedalus_settle_left(dev, complete.cookie);
		return -ENOENT;
	}
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
	unsigned long index, over;

	mutex_lock(&dev->lock);
	/* There may have been another daemon since this was to be done. */
	over = dev->absent_since + msecs_to_jiffies(READ_ONCE(daedalus_grace_ms));
	if (dev->daemon)
		;
	else if (time_before(jiffies, over))
		schedule_delayed_work(&dev->grace, over - jiffies);
	else
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
	LIST_HEAD(left);

	if (!daedalus_attached(dev, file))
		return 0;
	mutex_lock(&dev->lock);
	spin_lock(&dev->queue_lock);
	dev->daemon = NULL;
	dev->absent_since = jiffies;
	list_splice_init(&dev->notices, &notices);
	list_splice_init(&dev->left, &left);
	spin_unlock(&dev->queue_lock);
	xa_for_each(&dev->sessions, index, ctx)
		daedalus_fail_jobs(ctx, true);
	mutex_unlock(&dev->lock);
	daedalus_settle_list(&left);
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
