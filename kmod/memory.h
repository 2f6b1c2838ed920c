/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DAEDALUS_MEMORY_H
#define DAEDALUS_MEMORY_H

#include <linux/dma-buf.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <media/videobuf2-memops.h>

/* The pages of one plane of an MMAP buffer. */
struct daedalus_memory {
	/* The buffer's own, and one for each mapping and each dma-buf. First: see memory.c. */
	refcount_t references;
	struct vb2_vmarea_handler handler;
	struct daedalus_user *user;
	struct page **pages;
	unsigned int count;

	/* For the rest. */
	struct mutex lock;
	/* Where the kernel has them, once it has asked. */
	void *address;
	/* Devices that have one of its dma-bufs: struct daedalus_attachment. */
	struct list_head attachments;
};

/* memory.c */
void daedalus_memory_put(void *priv);
void *daedalus_memory_address(struct daedalus_memory *memory);
int daedalus_memory_mmap(void *priv, struct vm_area_struct *vma);

/* export.c */
struct dma_buf *daedalus_memory_export(struct vb2_buffer *vb, void *priv, unsigned long flags);

#endif
