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

/*
 * How a page of the calling client's is allocated. A process whose control group is above its
 * memory.high is made to wait, long, by allocations that may block. It waits in any case when it
 * returns to its program; here there are locks, one of which all clients take. So then these
 * find free memory, or fail.
 */
static gfp_t daedalus_page_flags(gfp_t flags)
{
#ifdef CONFIG_MEMCG
	if (current->memcg_nr_pages_over_high)
		return flags & ~__GFP_DIRECT_RECLAIM;
#endif
	return flags;
}

/*
 * Allocates the pages, in large pieces where there are any: devices that import them have less
 * to map. Returns how many there are.
 */
static unsigned int daedalus_memory_fill(struct page **pages, unsigned int count, gfp_t flags)
{
	static const unsigned int orders[] = { 8, 4, 0 };
	unsigned int done = 0, at = 0, i;

	while (done < count) {
		unsigned int order = orders[at];
		gfp_t try = order ? (flags | __GFP_NORETRY) & ~__GFP_RECLAIM
				  : daedalus_page_flags(flags);
		struct page *page = NULL;

		if (fatal_signal_pending(current))
			break;
		if (count - done >= 1U << order)
			page = alloc_pages(try | __GFP_NOWARN, order);
		if (!page) {
			if (!order)
				break;
			at++;
			continue;
		}
		split_page(page, order);
		for (i = 0; i < 1U << order; i++)
			pages[done++] = page + i;
	}
	return done;
}

/* Memory for a message, in the client's control group, for kvfree(). NULL if there is none. */
void *daedalus_data_alloc(size_t size)
{
	const gfp_t at_once = GFP_NOWAIT | __GFP_NORETRY | __GFP_NOWARN | __GFP_ACCOUNT;
	unsigned int count = DIV_ROUND_UP(size, PAGE_SIZE), filled;
	void *data = kmalloc(size, at_once);
	struct page **pages;

	if (data)
		return data;
	pages = kvmalloc_array(count, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return NULL;
	filled = daedalus_memory_fill(pages, count, GFP_KERNEL_ACCOUNT);
	if (filled == count)
		data = vmap(pages, count, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	if (data)
		return data;
	while (filled)
		__free_page(pages[--filled]);
	kvfree(pages);
	return NULL;
}

/* The size is a number of whole pages. */
static void *daedalus_memory_alloc(struct vb2_buffer *vb, struct device *dev, unsigned long size)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(vb->vb2_queue);
	gfp_t flags = GFP_HIGHUSER | __GFP_ZERO | vb->vb2_queue->gfp_flags;
	struct daedalus_memory *memory;
	unsigned int filled;
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
	memory->pages = kvcalloc(memory->count, sizeof(*memory->pages), GFP_KERNEL);
	if (!memory->pages) {
		daedalus_memory_free(memory, 0);
		return ERR_PTR(-ENOMEM);
	}
	filled = daedalus_memory_fill(memory->pages, memory->count, flags);
	if (filled < memory->count) {
		daedalus_memory_free(memory, filled);
		return ERR_PTR(-ENOMEM);
	}
	refcount_set(&memory->references, 1);
	memory->handler.refcount = &memory->references;
	memory->handler.put = daedalus_memory_put;
	memory->handler.arg = memory;
	return memory;
}

/* Of either kind of memory: videobuf2 takes more than one for mappings. */
static unsigned int daedalus_memory_num_users(void *priv)
{
	return refcount_read((refcount_t *)priv);
}

int daedalus_memory_mmap(void *priv, struct vm_area_struct *vma)
{
	struct daedalus_memory *memory = priv;
	int ret;

	if (!memory)
		return -EINVAL;
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

/* A dma-buf of a client. */
struct daedalus_import {
	refcount_t references; /* one, where videobuf2 looks for mappings */
	struct vb2_buffer *vb;
	struct dma_buf *dbuf;
	/* What keeps its pages where they are, and has them allocated by the client. */
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	/* Where the kernel has them, once it has asked. */
	struct iosys_map map;
};

/*
 * No device writes it: the daemon does, by its own mapping. As one that does, a mapping of bounce
 * buffers would be copied over what the daemon has written.
 */
#define DAEDALUS_IMPORT_DIRECTION DMA_TO_DEVICE

static_assert(offsetof(struct daedalus_import, references) ==
	      offsetof(struct daedalus_memory, references));

/*
 * When this fails, videobuf2 (6.11 to 7.2 at least, __prepare_dmabuf()) forgets its references
 * to the buffer's planes from this one on, and the memory stays for ever. So what a client can
 * get wrong must not fail here: daedalus_pin_imports() does all else once videobuf2 knows the
 * planes.
 */
static void *daedalus_import_attach(struct vb2_buffer *vb, struct device *dev, struct dma_buf *dbuf,
				    unsigned long size)
{
	struct daedalus_import *import = kzalloc_obj(*import);

	if (!import)
		return ERR_PTR(-ENOMEM);
	refcount_set(&import->references, 1);
	import->vb = vb;
	import->dbuf = dbuf;
	return import;
}

static void daedalus_import_detach(void *priv)
{
	struct daedalus_import *import = priv;

	/* videobuf2 does not say so where a client brings something wrong instead. */
	daedalus_buf_cleanup(import->vb);
	if (!iosys_map_is_null(&import->map))
		dma_buf_vunmap_unlocked(import->dbuf, &import->map);
	if (import->table)
		dma_buf_unmap_attachment_unlocked(import->attachment, import->table,
						  DAEDALUS_IMPORT_DIRECTION);
	if (import->attachment)
		dma_buf_detach(import->dbuf, import->attachment);
	kfree(import);
}

/* Kernels unmap when a buffer is given back, or when it goes: it is mapped from its start on. */
static int daedalus_import_map(void *priv)
{
	return 0;
}

static void daedalus_import_unmap(void *priv)
{
}

static int daedalus_import_pin(struct daedalus_import *import)
{
	struct device *dev = import->vb->vb2_queue->dev;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;

	attachment = dma_buf_attach(import->dbuf, dev);
	if (IS_ERR(attachment))
		return PTR_ERR(attachment);
	import->attachment = attachment;
	table = dma_buf_map_attachment_unlocked(attachment, DAEDALUS_IMPORT_DIRECTION);
	if (IS_ERR(table))
		return PTR_ERR(table);
	import->table = table;
	return 0;
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

/*
 * Has the memory of an imported buffer stay where it is, as long as that is the buffer's. Each
 * plane has to lie within its dma-buf.
 */
int daedalus_pin_imports(struct vb2_buffer *vb)
{
	unsigned int i;
	int ret;

	if (vb->memory != VB2_MEMORY_DMABUF)
		return 0;
	for (i = 0; i < vb->num_planes; i++) {
		struct daedalus_import *import = vb->planes[i].mem_priv;

		if (vb2_plane_size(vb, i) > import->dbuf->size)
			return -EINVAL;
		/* Two planes may be in one. */
		if (import->attachment)
			continue;
		ret = daedalus_import_pin(import);
		if (ret)
			return ret;
	}
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
