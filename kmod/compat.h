/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between the kernels that this module is built for (6.12 and later). */
#ifndef DAEDALUS_COMPAT_H
#define DAEDALUS_COMPAT_H

#include <linux/version.h>
#include <media/v4l2-fh.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
/* Since 6.18 these keep the file's private data themselves. */
static inline struct v4l2_fh *daedalus_file_fh(struct file *file)
{
	return file->private_data;
}

static inline void daedalus_fh_add(struct v4l2_fh *fh, struct file *file)
{
	file->private_data = fh;
	v4l2_fh_add(fh);
}

static inline void daedalus_fh_del(struct v4l2_fh *fh, struct file *file)
{
	v4l2_fh_del(fh);
}
#else
#define daedalus_file_fh	file_to_v4l2_fh
#define daedalus_fh_add		v4l2_fh_add
#define daedalus_fh_del		v4l2_fh_del
#endif

#endif
