// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of buffers: pages, since the "device" is the processor. videobuf2-dma-sg would do,
 * but kernels have it only where one of their drivers does (Raspberry Pi's do not), and
 * nobody learns from it when memory is free.
 *
 * MMAP buffers are charged to who asked for them from before they are allocated until they
 * are free. That may be long after the buffer is gone, and the session: a dma-buf or a
 * mapping keeps them.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "driver.h"
#include "memory.h"

/* Gives back the first of its pages, and all else. */
static void daedalus_memory_free(struct daedalus_memory *memory, unsigned int count)
{
	while (count)
		__free_page(memory->pages[--count]);
	kvfree(memory->pages);
	daedalus_uncharge_memory(memory->user, (unsigned long)memory->count << PAGE_SHIFT);
	mutex_destroy(&memory->lock);
	kfree(memory);
}

void daedalus_memory_put(void *priv)
{
	struct daedalus_memory *memory = priv;

	if (!refcount_dec_and_test(&memory->references))
		return;
	vunmap(memory->address);
	daedalus_memory_free(memory, memory->count);
}

/* The size is a number of whole pages. */
static void *daedalus_memory_alloc(struct vb2_buffer *vb, struct device *dev, unsigned long size)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(vb->vb2_queue);
	gfp_t flags = GFP_HIGHUSER | vb->vb2_queue->gfp_flags;
	struct daedalus_memory *memory;
	unsigned int i;
	int ret;

	memory = kzalloc_obj(*memory);
	if (!memory)
		return ERR_PTR(-ENOMEM);
	ret = daedalus_charge_memory(ctx->user, size);
	if (ret) {
		kfree(memory);
		return ERR_PTR(ret);
	}
	memory->user = ctx->user;
	memory->count = size >> PAGE_SHIFT;
	mutex_init(&memory->lock);
	INIT_LIST_HEAD(&memory->attachments);
	memory->pages = kvcalloc(memory->count, sizeof(*memory->pages), GFP_KERNEL_ACCOUNT);
	if (!memory->pages) {
		daedalus_memory_free(memory, 0);
		return ERR_PTR(-ENOMEM);
	}
	for (i = 0; i < memory->count; i++) {
		memory->pages[i] = alloc_page(flags | __GFP_ZERO);
		if (!memory->pages[i] || fatal_signal_pending(current)) {
			daedalus_memory_free(memory, i + !!memory->pages[i]);
			return ERR_PTR(-ENOMEM);
		}
	}
	refcount_set(&memory->references, 1);
	memory->handler.refcount = &memory->references;
	memory->handler.put = daedalus_memory_put;
	memory->handler.arg = memory;
	return memory;
}

static unsigned int daedalus_memory_num_users(void *priv)
{
	struct daedalus_memory *memory = priv;

	return refcount_read(&memory->references);
}

int daedalus_memory_mmap(void *priv, struct vm_area_struct *vma)
{
	struct daedalus_memory *memory = priv;
	int ret;

	ret = vm_map_pages(vma, memory->pages, memory->count);
	if (ret)
		return ret;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = &memory->handler;
	vma->vm_ops = &vb2_common_vm_ops;
	vma->vm_ops->open(vma);
	return 0;
}

/* NULL if there is no room. */
void *daedalus_memory_address(struct daedalus_memory *memory)
{
	void *address;

	mutex_lock(&memory->lock);
	if (!memory->address)
		memory->address = vmap(memory->pages, memory->count, VM_MAP, PAGE_KERNEL);
	address = memory->address;
	mutex_unlock(&memory->lock);
	return address;
}

/* A dma-buf of a client. It is not attached: no device reads it. */
struct daedalus_import {
	struct dma_buf *dbuf;
	struct iosys_map map;
};

/*
 * When this fails, videobuf2 (6.11 to 7.2 at least, __prepare_dmabuf()) forgets its references
 * to the buffer's planes from this one on, and the memory stays for ever. So what a client can
 * get wrong must not fail here: daedalus_check_imports() looks at the size once videobuf2 knows
 * the plane.
 */
static void *daedalus_import_attach(struct vb2_buffer *vb, struct device *dev, struct dma_buf *dbuf,
				    unsigned long size)
{
	struct daedalus_import *import = kzalloc_obj(*import);

	if (!import)
		return ERR_PTR(-ENOMEM);
	import->dbuf = dbuf;
	return import;
}

static void daedalus_import_detach(void *priv)
{
	kfree(priv);
}

/* The kernel reads coded data alone: what is decoded is never mapped here. */
static int daedalus_import_map(void *priv)
{
	return 0;
}

static void daedalus_import_unmap(void *priv)
{
	struct daedalus_import *import = priv;

	if (!iosys_map_is_null(&import->map))
		dma_buf_vunmap_unlocked(import->dbuf, &import->map);
	iosys_map_clear(&import->map);
}

/* NULL if the kernel cannot have it as memory. */
static void *daedalus_import_address(struct daedalus_import *import)
{
	if (iosys_map_is_null(&import->map) && dma_buf_vmap_unlocked(import->dbuf, &import->map)) {
		iosys_map_clear(&import->map);
		return NULL;
	}
	return import->map.is_iomem ? NULL : import->map.vaddr;
}

static void *daedalus_buffer_address(struct vb2_buffer *vb, void *priv)
{
	if (vb->memory == VB2_MEMORY_DMABUF)
		return daedalus_import_address(priv);
	return daedalus_memory_address(priv);
}

/* Whether each plane of an imported buffer lies within its dma-buf. */
int daedalus_check_imports(struct vb2_buffer *vb)
{
	unsigned int i;

	if (vb->memory != VB2_MEMORY_DMABUF)
		return 0;
	for (i = 0; i < vb->num_planes; i++)
		if (vb2_plane_size(vb, i) > vb->planes[i].dbuf->size)
			return -EINVAL;
	return 0;
}

const struct vb2_mem_ops daedalus_memory_ops = {
	.alloc = daedalus_memory_alloc,
	.put = daedalus_memory_put,
	.num_users = daedalus_memory_num_users,
	.mmap = daedalus_memory_mmap,
	.vaddr = daedalus_buffer_address,
	.get_dmabuf = daedalus_memory_export,
	.attach_dmabuf = daedalus_import_attach,
	.detach_dmabuf = daedalus_import_detach,
	.map_dmabuf = daedalus_import_map,
	.unmap_dmabuf = daedalus_import_unmap,
};
