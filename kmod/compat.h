/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between the kernels that this module is built for; Kbuild finds out. */
#ifndef DAEDALUS_COMPAT_H
#define DAEDALUS_COMPAT_H

#include <linux/device.h>
#include <linux/slab.h>
#include <media/v4l2-fh.h>

#ifdef DAEDALUS_FH_KEEPS_FILE
#define daedalus_fh_add v4l2_fh_add
#define daedalus_fh_del v4l2_fh_del
#else
/* Before 6.18 drivers kept the file's private data themselves. */
static inline void daedalus_fh_add(struct v4l2_fh *fh, struct file *file)
{
	file->private_data = fh;
	v4l2_fh_add(fh);
}

static inline void daedalus_fh_del(struct v4l2_fh *fh, struct file *file)
{
	v4l2_fh_del(fh);
	file->private_data = NULL;
}
#endif

/* What reads and writes the memory of @dev's buffers sees the caches of processors. */
static inline void daedalus_set_coherent(struct device *dev)
{
#ifdef DAEDALUS_COHERENT_FLAG
	dev_set_dma_coherent(dev);
#elif defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
	/* Kernels that have no function for it. */
	dev->dma_coherent = true;
#endif
}

/* Before 7.0. */
#ifndef kzalloc_obj
#define kzalloc_obj(object) kzalloc(sizeof(object), GFP_KERNEL)
#endif

#endif
