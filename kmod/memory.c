// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of MMAP buffers: videobuf2's pages, charged to who asked for them from before they
 * are allocated until they are free. That may be long after the buffer is gone, and the
 * session: a dma-buf or a mapping keeps them. videobuf2 has a reference to the device that
 * pages are for exactly as long as it has the pages; so each allocation is for a device of
 * its own, which nobody else sees, and whose release is what uncharges.
 */
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <media/videobuf2-dma-sg.h>

#include "compat.h"
#include "driver.h"

/* One plane. */
struct daedalus_memory {
	struct device dev;
	struct device_dma_parameters parameters;
	struct daedalus_user *user;
	unsigned long size;
};

static void daedalus_memory_release(struct device *dev)
{
	struct daedalus_memory *memory = container_of(dev, struct daedalus_memory, dev);

	daedalus_uncharge_memory(memory->user, memory->size);
	kfree(memory);
}

static void *daedalus_memory_alloc(struct vb2_buffer *vb, struct device *dev, unsigned long size)
{
	struct daedalus_context *ctx = vb2_get_drv_priv(vb->vb2_queue);
	struct daedalus_memory *memory;
	void *priv;
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
	memory->size = size;
	device_initialize(&memory->dev);
	memory->dev.release = daedalus_memory_release;
	/* As the real one: see daedalus_init(). */
	memory->dev.dma_mask = &memory->dev.coherent_dma_mask;
	memory->dev.coherent_dma_mask = DMA_BIT_MASK(64);
	memory->dev.dma_parms = &memory->parameters;
	memory->parameters.max_segment_size = UINT_MAX;
	priv = vb2_dma_sg_memops.alloc(vb, &memory->dev, size);
	put_device(&memory->dev);
	return priv;
}

static struct dma_buf *daedalus_memory_export(struct vb2_buffer *vb, void *priv,
					      unsigned long flags)
{
	struct dma_buf *dbuf = vb2_dma_sg_memops.get_dmabuf(vb, priv, flags);

	/* Its end is also daedalus_memory_release(): this module has to be there. */
	if (!IS_ERR_OR_NULL(dbuf)) {
		__module_get(THIS_MODULE);
		module_put(dbuf->owner);
		dbuf->owner = THIS_MODULE;
	}
	return dbuf;
}

/*
 * A dma-buf of a client. When this fails, videobuf2 (6.11 to 7.2 at least, __prepare_dmabuf())
 * forgets its references to the buffer's planes from this one on, and the memory stays for ever.
 * So what a client can get wrong must not fail here: a plane longer than its dma-buf is
 * attached at its true size, and daedalus_check_imports() refuses it once videobuf2 knows it.
 */
static void *daedalus_memory_attach(struct vb2_buffer *vb, struct device *dev, struct dma_buf *dbuf,
				    unsigned long size)
{
	return vb2_dma_sg_memops.attach_dmabuf(vb, dev, dbuf, min(size, dbuf->size));
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

struct vb2_mem_ops daedalus_memory_ops;

void daedalus_init_memory(void)
{
	daedalus_memory_ops = vb2_dma_sg_memops;
	daedalus_memory_ops.alloc = daedalus_memory_alloc;
	daedalus_memory_ops.get_dmabuf = daedalus_memory_export;
	daedalus_memory_ops.attach_dmabuf = daedalus_memory_attach;
}
