// SPDX-License-Identifier: GPL-2.0-only
/* Open files of the video device: each is a session. */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>

#include "compat.h"
#include "driver.h"

struct daedalus_context *daedalus_file_context(struct file *file)
{
	return container_of((struct v4l2_fh *)file->private_data, struct daedalus_context, fh);
}

static void daedalus_context_free(struct kref *ref)
{
	struct daedalus_context *ctx = container_of(ref, struct daedalus_context, ref);

	daedalus_leave_user(ctx);
	put_pid(ctx->client);
	mutex_destroy(&ctx->lock);
	mutex_destroy(&ctx->jobs_lock);
	atomic_dec(&ctx->dev->statistics.contexts);
	kfree(ctx);
}

void daedalus_context_put(struct daedalus_context *ctx)
{
	kref_put(&ctx->ref, daedalus_context_free);
}

/* The context of a session, with a reference, or NULL. */
struct daedalus_context *daedalus_context_find(struct daedalus_device *dev, u64 session)
{
	struct daedalus_context *ctx = NULL;

	if (session > U32_MAX)
		return NULL;
	xa_lock(&dev->sessions);
	ctx = xa_load(&dev->sessions, session);
	if (ctx)
		kref_get(&ctx->ref);
	xa_unlock(&dev->sessions);
	return ctx;
}

static int daedalus_open(struct file *file)
{
	struct daedalus_device *dev = video_drvdata(file);
	struct daedalus_context *ctx;
	int ret;

	ctx = kzalloc_obj(*ctx);
	if (!ctx)
		return -ENOMEM;
	kref_init(&ctx->ref);
	ctx->dev = dev;
	ctx->uid = current_uid();
	ctx->client = get_pid(task_tgid(current));
	mutex_init(&ctx->lock);
	mutex_init(&ctx->jobs_lock);
	INIT_LIST_HEAD(&ctx->waiting_coded);
	INIT_LIST_HEAD(&ctx->waiting_decoded);
	INIT_LIST_HEAD(&ctx->jobs);
	INIT_LIST_HEAD(&ctx->owed);
	INIT_LIST_HEAD(&ctx->ready);
	atomic_inc(&dev->statistics.contexts);

	ret = daedalus_join_user(ctx);
	if (ret)
		goto put;
	ret = daedalus_init_queues(ctx);
	if (ret)
		goto end;
	ret = daedalus_init_controls(ctx);
	if (ret)
		goto end;
	daedalus_reset_formats(ctx);

	mutex_lock(&dev->lock);
	ret = xa_alloc_cyclic(&dev->sessions, &ctx->session, ctx, XA_LIMIT(1, U32_MAX),
			      &dev->next_session, GFP_KERNEL);
	mutex_unlock(&dev->lock);
	if (ret < 0)
		goto end;

	v4l2_fh_init(&ctx->fh, video_devdata(file));
	ctx->fh.ctrl_handler = &ctx->controls;
	daedalus_fh_add(&ctx->fh, file);
	return 0;

end:
	v4l2_ctrl_handler_free(&ctx->controls);
	daedalus_end_session(ctx);
put:
	daedalus_context_put(ctx);
	return ret;
}

static int daedalus_release(struct file *file)
{
	struct daedalus_context *ctx = daedalus_file_context(file);
	struct daedalus_device *dev = ctx->dev;

	mutex_lock(&ctx->lock);
	vb2_queue_release(&ctx->coded);
	vb2_queue_release(&ctx->decoded);
	mutex_unlock(&ctx->lock);
	daedalus_leave_owed(ctx);
	/* Not before: who completes a job and finds no context looks there. */
	mutex_lock(&dev->lock);
	xa_erase(&dev->sessions, ctx->session);
	mutex_unlock(&dev->lock);
	spin_lock(&dev->queue_lock);
	ctx->closed = true;
	spin_unlock(&dev->queue_lock);
	daedalus_notify(ctx, DAEDALUS_MSG_CLOSE);
	daedalus_end_session(ctx);

	daedalus_fh_del(&ctx->fh, file);
	v4l2_fh_exit(&ctx->fh);
	/* Here, where requests are not queued or prepared: the framework sees to that. */
	daedalus_free_controls(ctx);
	/* The daemon's side may be looking at the context right now. */
	daedalus_context_put(ctx);
	return 0;
}

static bool daedalus_has_buffers(struct vb2_queue *queue)
{
	return vb2_is_streaming(queue) && !queue->error && !list_empty(&queue->queued_list);
}

static bool daedalus_has_done(struct vb2_queue *queue)
{
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&queue->done_lock, flags);
	done = !list_empty(&queue->done_list);
	spin_unlock_irqrestore(&queue->done_lock, flags);
	return done;
}

static __poll_t daedalus_poll(struct file *file, struct poll_table_struct *wait)
{
	const __poll_t readable = EPOLLIN | EPOLLRDNORM, writable = EPOLLOUT | EPOLLWRNORM;
	struct daedalus_context *ctx = daedalus_file_context(file);
	__poll_t wanted = poll_requested_events(wait), events = 0;

	poll_wait(file, &ctx->coded.done_wq, wait);
	poll_wait(file, &ctx->decoded.done_wq, wait);
	poll_wait(file, &ctx->fh.wait, wait);

	if (wanted & (readable | writable)) {
		mutex_lock(&ctx->lock);
		/* A job gives two buffers back: whoever sees the one also sees the other. */
		mutex_lock(&ctx->jobs_lock);
		if (!daedalus_has_buffers(&ctx->coded) && !daedalus_has_buffers(&ctx->decoded)) {
			/* Nothing is under way: whoever waits would wait for ever. */
			events |= EPOLLERR;
		} else {
			if (daedalus_has_done(&ctx->coded))
				events |= writable;
			if (daedalus_has_done(&ctx->decoded))
				events |= readable;
		}
		mutex_unlock(&ctx->jobs_lock);
		mutex_unlock(&ctx->lock);
	}
	if (v4l2_event_pending(&ctx->fh))
		events |= EPOLLPRI;
	return events;
}

static int daedalus_mmap(struct file *file, struct vm_area_struct *vma)
{
	const unsigned long decoded = DAEDALUS_DECODED_OFFSET >> PAGE_SHIFT;
	struct daedalus_context *ctx = daedalus_file_context(file);
	struct vb2_queue *queue = &ctx->coded;
	int ret;

	if (vma->vm_pgoff >= decoded) {
		vma->vm_pgoff -= decoded;
		queue = &ctx->decoded;
	}
	/*
	 * videobuf2 (6.10 to 7.2 at least) has buffers in its queue before they have memory, and
	 * frees what it could not finish, without a lock that vb2_mmap() takes. This one it has.
	 */
	mutex_lock(&ctx->lock);
	ret = vb2_mmap(queue, vma);
	mutex_unlock(&ctx->lock);
	return ret;
}

const struct v4l2_file_operations daedalus_video_fops = {
	.owner = THIS_MODULE,
	.open = daedalus_open,
	.release = daedalus_release,
	.poll = daedalus_poll,
	.unlocked_ioctl = daedalus_ioctl,
	.mmap = daedalus_mmap,
};
