// SPDX-License-Identifier: GPL-2.0-only
/*
 * The media controller's view: source, decoder, sink, as
 * Documentation/userspace-api/media/v4l/dev-mem2mem.rst has them, and requests.
 */
#include <linux/compat.h>
#include <linux/media.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <media/v4l2-dev.h>
#include <media/v4l2-ctrls.h>

#include "compat.h"
#include "driver.h"

static int daedalus_register_entity(struct daedalus_device *dev, struct media_entity *entity,
				    const char *name, u32 function, struct media_pad *pads,
				    u16 num_pads)
{
	int ret;

	entity->obj_type = MEDIA_ENTITY_TYPE_BASE;
	entity->name = name;
	entity->function = function;
	if (function == MEDIA_ENT_F_IO_V4L) {
		entity->info.dev.major = VIDEO_MAJOR;
		entity->info.dev.minor = dev->vdev.minor;
	}
	ret = media_entity_pads_init(entity, num_pads, pads);
	if (ret)
		return ret;
	return media_device_register_entity(&dev->mdev, entity);
}

/* More than the graph has of anything. */
#define DAEDALUS_MAX_OBJECTS 16

/* What an entity has. */
#define DAEDALUS_MAX_PADS  2
#define DAEDALUS_MAX_LINKS 1

#ifdef CONFIG_COMPAT
struct daedalus_links_enum32 {
	__u32 entity;
	compat_uptr_t pads;
	compat_uptr_t links;
	__u32 reserved[4];
};
#endif

static void daedalus_fault_in_objects(u64 user, u32 count, size_t size)
{
	/* What cannot be written the framework finds out. */
	if (user)
		fault_in_safe_writeable(u64_to_user_ptr(user),
					min_t(u32, count, DAEDALUS_MAX_OBJECTS) * size);
}

static int daedalus_fault_in_topology(void __user *arg)
{
	struct media_v2_topology topology;

	if (fault_in_safe_writeable(arg, sizeof(topology)) ||
	    copy_from_user(&topology, arg, sizeof(topology)))
		return -EFAULT;
	daedalus_fault_in_objects(topology.ptr_entities, topology.num_entities,
				  sizeof(struct media_v2_entity));
	daedalus_fault_in_objects(topology.ptr_interfaces, topology.num_interfaces,
				  sizeof(struct media_v2_interface));
	daedalus_fault_in_objects(topology.ptr_pads, topology.num_pads,
				  sizeof(struct media_v2_pad));
	daedalus_fault_in_objects(topology.ptr_links, topology.num_links,
				  sizeof(struct media_v2_link));
	return 0;
}

/* What a client of either width asks for. */
static int daedalus_read_links(void __user *arg, struct media_links_enum *links)
{
#ifdef CONFIG_COMPAT
	if (in_compat_syscall()) {
		struct daedalus_links_enum32 links32;

		if (fault_in_safe_writeable(arg, sizeof(links32)) ||
		    copy_from_user(&links32, arg, sizeof(links32)))
			return -EFAULT;
		links->pads = compat_ptr(links32.pads);
		links->links = compat_ptr(links32.links);
		return 0;
	}
#endif
	if (fault_in_safe_writeable(arg, sizeof(*links)) ||
	    copy_from_user(links, arg, sizeof(*links)))
		return -EFAULT;
	return 0;
}

static int daedalus_fault_in_links(void __user *arg)
{
	struct media_links_enum links;
	int ret = daedalus_read_links(arg, &links);

	if (ret)
		return ret;
	daedalus_fault_in_objects((uintptr_t)links.pads, DAEDALUS_MAX_PADS, sizeof(*links.pads));
	daedalus_fault_in_objects((uintptr_t)links.links, DAEDALUS_MAX_LINKS, sizeof(*links.links));
	return 0;
}

/* Waits for what an ioctl touches. */
static int daedalus_fault_in_graph(unsigned int cmd, void __user *arg)
{
	if (_IOC_NR(cmd) == _IOC_NR(MEDIA_IOC_ENUM_LINKS))
		return daedalus_fault_in_links(arg);
	if (_IOC_NR(cmd) == _IOC_NR(MEDIA_IOC_G_TOPOLOGY))
		return daedalus_fault_in_topology(arg);
	return fault_in_safe_writeable(arg, _IOC_SIZE(cmd)) ? -EFAULT : 0;
}

static struct daedalus_device *daedalus_media_device(struct file *file)
{
	return container_of(media_devnode_data(file)->media_dev, struct daedalus_device, mdev);
}

/* What is made is there before its number is written, so nothing is made twice. */
static bool daedalus_makes_something(unsigned int cmd)
{
	return _IOC_NR(cmd) == _IOC_NR(MEDIA_IOC_REQUEST_ALLOC);
}

static long daedalus_media_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct media_file_operations *fops = daedalus_media_device(file)->framework_fops;

	if (daedalus_makes_something(cmd))
		return fops->ioctl(file, cmd, arg);
	return daedalus_without_faults(file, cmd, arg, fops->ioctl, daedalus_fault_in_graph);
}

#ifdef CONFIG_COMPAT
static long daedalus_media_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct media_file_operations *fops = daedalus_media_device(file)->framework_fops;

	if (daedalus_makes_something(cmd))
		return fops->compat_ioctl(file, cmd, arg);
	return daedalus_without_faults(file, cmd, arg, fops->compat_ioctl, daedalus_fault_in_graph);
}
#endif

/* Lets nobody hold the graph's lock for as long as a page of theirs does not come. */
static void daedalus_replace_ioctls(struct daedalus_device *dev)
{
	struct media_devnode *devnode = dev->mdev.devnode;

	dev->framework_fops = devnode->fops;
	dev->media_fops = *devnode->fops;
	dev->media_fops.ioctl = daedalus_media_ioctl;
#ifdef CONFIG_COMPAT
	dev->media_fops.compat_ioctl = daedalus_media_compat_ioctl;
#endif
	/* Whoever has opened it already sees all of them, or the framework's. */
	smp_store_release(&devnode->fops, &dev->media_fops);
}

int daedalus_register_media(struct daedalus_device *dev)
{
	const u32 fixed = MEDIA_LNK_FL_IMMUTABLE | MEDIA_LNK_FL_ENABLED;
	struct media_intf_devnode *node;
	int ret;

	/*
	 * Not the video device's own entity: V4L2 would take the graph's lock for that when formats
	 * are set and files closed, and enumerating the graph holds it while it writes to user
	 * memory, for as long as the page does not come.
	 */
	memset(&dev->source, 0, sizeof(dev->source));
	dev->source_pad.flags = MEDIA_PAD_FL_SOURCE;
	dev->decoder_pads[0].flags = MEDIA_PAD_FL_SINK;
	dev->decoder_pads[1].flags = MEDIA_PAD_FL_SOURCE;
	dev->sink_pad.flags = MEDIA_PAD_FL_SINK;

	ret = daedalus_register_entity(dev, &dev->source, DAEDALUS_NAME "-source",
				       MEDIA_ENT_F_IO_V4L, &dev->source_pad, 1);
	if (ret)
		return ret;
	ret = daedalus_register_entity(dev, &dev->decoder, DAEDALUS_NAME "-proc",
				       MEDIA_ENT_F_PROC_VIDEO_DECODER, dev->decoder_pads, 2);
	if (ret)
		return ret;
	ret = daedalus_register_entity(dev, &dev->sink, DAEDALUS_NAME "-sink", MEDIA_ENT_F_IO_V4L,
				       &dev->sink_pad, 1);
	if (ret)
		return ret;

	ret = media_create_pad_link(&dev->source, 0, &dev->decoder, 0, fixed);
	if (ret)
		return ret;
	ret = media_create_pad_link(&dev->decoder, 1, &dev->sink, 0, fixed);
	if (ret)
		return ret;

	node = media_devnode_create(&dev->mdev, MEDIA_INTF_T_V4L_VIDEO, 0, VIDEO_MAJOR,
				    dev->vdev.minor);
	if (!node)
		return -ENOMEM;
	if (!media_create_intf_link(&dev->source, &node->intf, fixed) ||
	    !media_create_intf_link(&dev->sink, &node->intf, fixed))
		return -ENOMEM;

	/* Interfaces, links and entities go when the media device is unregistered. */
	ret = media_device_register(&dev->mdev);
	if (ret)
		return ret;
	daedalus_replace_ioctls(dev);
	return 0;
}

void daedalus_unregister_media(struct daedalus_device *dev)
{
	media_device_unregister(&dev->mdev);
	media_entity_cleanup(&dev->source);
	media_entity_cleanup(&dev->decoder);
	media_entity_cleanup(&dev->sink);
}

struct daedalus_request {
	struct media_request req;
	struct daedalus_user *user;
};

/*
 * A request refers to the media device and can outlive the files that made it, so
 * each one keeps the module.
 */
static struct media_request *daedalus_req_alloc(struct media_device *mdev)
{
	struct daedalus_device *dev = container_of(mdev, struct daedalus_device, mdev);
	struct daedalus_request *request = kzalloc_obj(*request);

	if (!request)
		return NULL;
	request->user = daedalus_join_media(dev);
	if (!request->user) {
		kfree(request);
		return NULL;
	}
	__module_get(THIS_MODULE);
	return &request->req;
}

static void daedalus_req_free(struct media_request *req)
{
	struct daedalus_request *request = container_of(req, struct daedalus_request, req);

	daedalus_leave_media(request->user);
	kfree(request);
	module_put(THIS_MODULE);
}

static int daedalus_req_validate(struct media_request *req)
{
	struct daedalus_context *ctx = NULL;
	struct media_request_object *obj;
	struct v4l2_ctrl_handler *hdl;
	unsigned int i, count;
	int ret = 0;

	list_for_each_entry(obj, &req->objects, list) {
		if (vb2_request_object_is_buffer(obj)) {
			struct vb2_buffer *vb = container_of(obj, struct vb2_buffer, req_obj);

			ctx = vb2_get_drv_priv(vb->vb2_queue);
			break;
		}
	}
	count = vb2_request_buffer_cnt(req);
	if (!ctx || !count)
		return -ENOENT;
	if (count > 1)
		return -EINVAL;
	/* Controls of another session would never be completed. */
	list_for_each_entry(obj, &req->objects, list)
		if (!vb2_request_object_is_buffer(obj) && obj->priv != &ctx->controls)
			return -EINVAL;

	hdl = v4l2_ctrl_request_hdl_find(req, &ctx->controls);
	if (!hdl)
		return -ENOENT;
	for (i = 0; i < ctx->codec->num_controls && !ret; i++) {
		const struct daedalus_control_desc *desc = &ctx->codec->controls[i];

		if (desc->per_picture && !v4l2_ctrl_request_hdl_ctrl_find(hdl, desc->config.id))
			ret = -ENOENT;
	}
	v4l2_ctrl_request_hdl_put(hdl);
	return ret ?: vb2_request_validate(req);
}

const struct media_device_ops daedalus_media_ops = {
	.req_alloc = daedalus_req_alloc,
	.req_free = daedalus_req_free,
	.req_validate = daedalus_req_validate,
	.req_queue = vb2_request_queue,
};
