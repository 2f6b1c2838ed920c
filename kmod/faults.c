// SPDX-License-Identifier: GPL-2.0-only
/*
 * The framework reads and writes values of controls in their client's memory while it holds
 * the lock of the session's controls. MEDIA_REQUEST_IOC_QUEUE and closing the video device
 * wait for that lock, and hold one meanwhile that all sessions share. But a page of a client's
 * memory may never come: of a file whose server is a process (FUSE), or of userfaultfd. So such
 * calls run without page faults, and what is missing is waited for in between, with no lock.
 * Enumerating the media graph (media.c) holds a lock of all, too.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/videodev2.h>
#include <media/v4l2-ioctl.h>

#include "driver.h"

/* No value of a control is longer. */
#define DAEDALUS_MAX_VALUE SZ_64K

/* How often pages may be gone again when they are needed. */
#define DAEDALUS_MAX_FAULTS 64

/*
 * Makes an ioctl that never waits for a page of its caller's memory; @fault_in waits for all that
 * it touches, before it is made again.
 */
long daedalus_without_faults(struct file *file, unsigned int cmd, unsigned long arg,
			     long (*ioctl)(struct file *file, unsigned int cmd, unsigned long arg),
			     int (*fault_in)(unsigned int cmd, void __user *arg))
{
	unsigned int i;
	long ret;

	for (i = 0; i < DAEDALUS_MAX_FAULTS; i++) {
		pagefault_disable();
		ret = ioctl(file, cmd, arg);
		pagefault_enable();
		if (ret != -EFAULT)
			return ret;
		ret = fault_in(cmd, (void __user *)arg);
		if (ret)
			return ret;
		if (signal_pending(current))
			return -ERESTARTSYS;
	}
	return -EFAULT;
}

#ifdef CONFIG_COMPAT
/* What 32-bit processes of 64-bit kernels have as struct v4l2_ext_controls. */
struct daedalus_ext_controls32 {
	__u32 which;
	__u32 count;
	__u32 error_idx;
	__s32 request_fd;
	__u32 reserved[1];
	compat_caddr_t controls;
};
#endif

/* The list of controls of a call, and its length in @count. NULL if it cannot be read. */
static struct v4l2_ext_control __user *daedalus_control_list(void __user *arg, u32 *count)
{
	struct v4l2_ext_controls controls;

	/* What cannot be read is no empty list. */
	*count = 1;
#ifdef CONFIG_COMPAT
	/* struct v4l2_ext_control is the same to them, but for the pointer. */
	if (in_compat_syscall()) {
		struct daedalus_ext_controls32 controls32;

		if (fault_in_safe_writeable(arg, sizeof(controls32)) ||
		    copy_from_user(&controls32, arg, sizeof(controls32)))
			return NULL;
		*count = controls32.count;
		return compat_ptr(controls32.controls);
	}
#endif
	if (fault_in_safe_writeable(arg, sizeof(controls)) ||
	    copy_from_user(&controls, arg, sizeof(controls)))
		return NULL;
	*count = controls.count;
	/* To the framework this is a kernel's pointer at times, and so is a control's. */
	return (void __force __user *)controls.controls;
}

static void __user *daedalus_control_value(const struct v4l2_ext_control *control)
{
#ifdef CONFIG_COMPAT
	if (in_compat_syscall())
		return compat_ptr((u32)control->value);
#endif
	return (void __force __user *)control->ptr;
}

/* Waits for everything that a call with a list of controls touches. */
static int daedalus_fault_in(unsigned int cmd, void __user *arg)
{
	struct v4l2_ext_control __user *list;
	u32 i, count;

	list = daedalus_control_list(arg, &count);
	/* More than that the framework refuses. */
	count = min_t(u32, count, V4L2_CID_MAX_CTRLS);
	if (!list)
		return count ? -EFAULT : 0;
	if (fault_in_safe_writeable((char __user *)list, count * sizeof(*list)))
		return -EFAULT;
	for (i = 0; i < count; i++) {
		struct v4l2_ext_control control;
		void __user *value;
		size_t size;

		if (copy_from_user(&control, list + i, sizeof(control)))
			return -EFAULT;
		value = daedalus_control_value(&control);
		size = min_t(size_t, control.size, DAEDALUS_MAX_VALUE);
		/*
		 * The framework writes values back that it has set. If this fails, it may still be
		 * no pointer, but an integer with a size that nobody looks at.
		 */
		fault_in_safe_writeable(value, size);
	}
	return 0;
}

/*
 * Whether as many requests as can be of use have a copy of this session's controls. Each request
 * may have one of every session's, as long as it is not queued.
 */
static bool daedalus_has_many_copies(struct file *file)
{
	struct daedalus_context *ctx = daedalus_file_context(file);
	struct v4l2_ctrl_handler *copy;
	unsigned int count = 0;

	mutex_lock(ctx->controls.lock);
	list_for_each_entry(copy, &ctx->controls.requests, requests)
		count++;
	mutex_unlock(ctx->controls.lock);
	return count >= 2 * DAEDALUS_MAX_BUFFERS;
}

long daedalus_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	unsigned int number = _IOC_TYPE(cmd) == 'V' ? _IOC_NR(cmd) : 0;

	/* Files have one for all: who sets his keeps others from whatever changes anything. */
	if (cmd == VIDIOC_S_PRIORITY && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	if (number != _IOC_NR(VIDIOC_G_EXT_CTRLS) && number != _IOC_NR(VIDIOC_S_EXT_CTRLS) &&
	    number != _IOC_NR(VIDIOC_TRY_EXT_CTRLS))
		return video_ioctl2(file, cmd, arg);
	if (number != _IOC_NR(VIDIOC_G_EXT_CTRLS) && daedalus_has_many_copies(file))
		return -ENOMEM;
	return daedalus_without_faults(file, cmd, arg, video_ioctl2, daedalus_fault_in);
}
