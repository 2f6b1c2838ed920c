// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma-bufs of the memory of MMAP buffers. A plane may have several, a client's and the
 * daemon's at least. Devices that do not see the processor's caches have to be told of what
 * is written through any of them, so their attachments belong to the memory.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat.h"
#include "driver.h"
#include "memory.h"

/* A device that reads the memory, or writes it. */
struct daedalus_attachment {
	struct list_head list;
	struct device *dev;
	struct sg_table table;
	/* As it is mapped, or DMA_NONE; with the memory's lock. */
	enum dma_data_direction direction;
};

static int daedalus_export_attach(struct dma_buf *dbuf, struct dma_buf_attachment *attached)
{
	struct daedalus_memory *memory = dbuf->priv;
	struct daedalus_attachment *attachment;
	int ret;

	attachment = kzalloc_obj(*attachment);
	if (!attachment)
		return -ENOMEM;
	attachment->dev = attached->dev;
	attachment->direction = DMA_NONE;
	ret = sg_alloc_table_from_pages_segment(&attachment->table, memory->pages, memory->count, 0,
						(unsigned long)memory->count << PAGE_SHIFT,
						dma_get_max_seg_size(attached->dev),
						GFP_KERNEL_ACCOUNT);
	if (ret) {
		kfree(attachment);
		return ret;
	}
	attached->priv = attachment;
	mutex_lock(&memory->lock);
	list_add(&attachment->list, &memory->attachments);
	mutex_unlock(&memory->lock);
	return 0;
}

static void daedalus_export_detach(struct dma_buf *dbuf, struct dma_buf_attachment *attached)
{
	struct daedalus_attachment *attachment = attached->priv;
	struct daedalus_memory *memory = dbuf->priv;

	mutex_lock(&memory->lock);
	list_del(&attachment->list);
	mutex_unlock(&memory->lock);
	sg_free_table(&attachment->table);
	kfree(attachment);
}

static struct sg_table *daedalus_export_map(struct dma_buf_attachment *attached,
					    enum dma_data_direction direction)
{
	struct daedalus_attachment *attachment = attached->priv;
	struct daedalus_memory *memory = attached->dmabuf->priv;
	int ret;

	mutex_lock(&memory->lock);
	/* There is one table, for one mapping. */
	ret = -EBUSY;
	if (attachment->direction == DMA_NONE)
		ret = dma_map_sgtable(attachment->dev, &attachment->table, direction, 0);
	if (!ret)
		attachment->direction = direction;
	mutex_unlock(&memory->lock);
	return ret ? ERR_PTR(ret) : &attachment->table;
}

static void daedalus_export_unmap(struct dma_buf_attachment *attached, struct sg_table *table,
				  enum dma_data_direction direction)
{
	struct daedalus_attachment *attachment = attached->priv;
	struct daedalus_memory *memory = attached->dmabuf->priv;

	mutex_lock(&memory->lock);
	attachment->direction = DMA_NONE;
	dma_unmap_sgtable(attachment->dev, table, direction, 0);
	mutex_unlock(&memory->lock);
}

/* Whatever the processor does meanwhile, a mapping is synchronised as what it is. */
static int daedalus_export_begin_access(struct dma_buf *dbuf, enum dma_data_direction direction)
{
	struct daedalus_memory *memory = dbuf->priv;
	struct daedalus_attachment *attachment;

	mutex_lock(&memory->lock);
	list_for_each_entry(attachment, &memory->attachments, list) {
		if (attachment->direction != DMA_NONE)
			dma_sync_sgtable_for_cpu(attachment->dev, &attachment->table,
						 attachment->direction);
		/* Clients make as many as they like. */
		cond_resched();
	}
	mutex_unlock(&memory->lock);
	return 0;
}

static int daedalus_export_end_access(struct dma_buf *dbuf, enum dma_data_direction direction)
{
	struct daedalus_memory *memory = dbuf->priv;
	struct daedalus_attachment *attachment;

	mutex_lock(&memory->lock);
	list_for_each_entry(attachment, &memory->attachments, list) {
		if (attachment->direction != DMA_NONE)
			dma_sync_sgtable_for_device(attachment->dev, &attachment->table,
						    attachment->direction);
		cond_resched();
	}
	mutex_unlock(&memory->lock);
	return 0;
}

static int daedalus_export_mmap(struct dma_buf *dbuf, struct vm_area_struct *vma)
{
	return daedalus_memory_mmap(dbuf->priv, vma);
}

static int daedalus_export_vmap(struct dma_buf *dbuf, struct iosys_map *map)
{
	void *address = daedalus_memory_address(dbuf->priv);

	if (!address)
		return -ENOMEM;
	iosys_map_set_vaddr(map, address);
	return 0;
}

static void daedalus_export_release(struct dma_buf *dbuf)
{
	daedalus_memory_put(dbuf->priv);
}

static const struct dma_buf_ops daedalus_export_ops = {
	.attach = daedalus_export_attach,
	.detach = daedalus_export_detach,
	.map_dma_buf = daedalus_export_map,
	.unmap_dma_buf = daedalus_export_unmap,
	.begin_cpu_access = daedalus_export_begin_access,
	.end_cpu_access = daedalus_export_end_access,
	.mmap = daedalus_export_mmap,
	.vmap = daedalus_export_vmap,
	.release = daedalus_export_release,
};

/* Its end is also the memory's: this module has to be there, and the dma-buf sees to that. */
struct dma_buf *daedalus_memory_export(struct vb2_buffer *vb, void *priv, unsigned long flags)
{
	struct daedalus_memory *memory = priv;
	struct dma_buf *dbuf;
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &daedalus_export_ops;
	info.size = (size_t)memory->count << PAGE_SHIFT;
	info.flags = flags;
	info.priv = memory;
	refcount_inc(&memory->references);
	dbuf = dma_buf_export(&info);
	if (IS_ERR(dbuf))
		daedalus_memory_put(memory);
	return dbuf;
}
