// SPDX-License-Identifier: GPL-2.0-only
/* The module, and the devices that it registers. */
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <media/v4l2-dev.h>

#include "compat.h"
#include "driver.h"

unsigned int daedalus_grace_ms = 2000;
module_param_named(grace_ms, daedalus_grace_ms, uint, 0644);
MODULE_PARM_DESC(grace_ms, "how long requests wait for a daemon when there is none, in ms");

/* The module cannot go while anybody has one of its devices open, so it may be static. */
static struct daedalus_device daedalus = {
	.lock = __MUTEX_INITIALIZER(daedalus.lock),
	.queue_lock = __SPIN_LOCK_UNLOCKED(daedalus.queue_lock),
	.ready = LIST_HEAD_INIT(daedalus.ready),
	.notices = LIST_HEAD_INIT(daedalus.notices),
	.left = LIST_HEAD_INIT(daedalus.left),
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER(daedalus.wait),
	.misc = {
		.minor = MISC_DYNAMIC_MINOR,
		.name = DAEDALUS_NAME,
		.fops = &daedalus_daemon_fops,
		.mode = 0600,
	},
};

/* Whether a daemon is attached, for programs that would rather not wait for the grace period. */
static ssize_t daemon_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", READ_ONCE(daedalus.daemon) ? "attached" : "absent");
}
static DEVICE_ATTR_RO(daemon);

/* How many there have been: whether one that failed is still the same. */
static ssize_t daemons_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(daedalus.generation));
}
static DEVICE_ATTR_RO(daemons);

static struct attribute *daedalus_attrs[] = { &dev_attr_daemon.attr, &dev_attr_daemons.attr, NULL };
ATTRIBUTE_GROUPS(daedalus);

static int statistics_show(struct seq_file *s, void *unused)
{
	struct daedalus_statistics *statistics = &daedalus.statistics;

	seq_printf(s, "daemon %s\n", READ_ONCE(daedalus.daemon) ? "attached" : "absent");
	seq_printf(s, "daemons %u\n", READ_ONCE(daedalus.generation));
	seq_printf(s, "users %d\n", atomic_read(&statistics->users));
	seq_printf(s, "sessions %d\n", atomic_read(&statistics->contexts));
	seq_printf(s, "buffers %d\n", atomic_read(&statistics->buffers));
	seq_printf(s, "jobs %d\n", atomic_read(&statistics->jobs));
	seq_printf(s, "completed %lld\n", atomic64_read(&statistics->completed));
	seq_printf(s, "failed %lld\n", atomic64_read(&statistics->failed));
	seq_printf(s, "cancelled %lld\n", atomic64_read(&statistics->cancelled));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(statistics);

/* Registers the video and media devices when the first daemon is there. */
int daedalus_register(struct daedalus_device *dev)
{
	struct video_device *vdev = &dev->vdev;
	int ret;

	if (dev->registered)
		return 0;
	if (dev->failed)
		return dev->failed;

	memset(&dev->mdev, 0, sizeof(dev->mdev));
	dev->mdev.dev = &dev->pdev->dev;
	strscpy(dev->mdev.model, DAEDALUS_NAME, sizeof(dev->mdev.model));
	strscpy(dev->mdev.driver_name, DAEDALUS_NAME, sizeof(dev->mdev.driver_name));
	strscpy(dev->mdev.bus_info, "platform:" DAEDALUS_NAME, sizeof(dev->mdev.bus_info));
	media_device_init(&dev->mdev);
	dev->mdev.ops = &daedalus_media_ops;
	dev->v4l2_dev.mdev = &dev->mdev;

	memset(vdev, 0, sizeof(*vdev));
	strscpy(vdev->name, DAEDALUS_NAME, sizeof(vdev->name));
	vdev->v4l2_dev = &dev->v4l2_dev;
	vdev->fops = &daedalus_video_fops;
	vdev->ioctl_ops = &daedalus_ioctl_ops;
	vdev->release = video_device_release_empty;
	vdev->vfl_dir = VFL_DIR_M2M;
	vdev->device_caps = V4L2_CAP_VIDEO_M2M_MPLANE | V4L2_CAP_STREAMING;
	vdev->dev.groups = daedalus_groups;
	video_set_drvdata(vdev, dev);
	ret = video_register_device(vdev, VFL_TYPE_VIDEO, -1);
	if (ret)
		goto cleanup;
	ret = daedalus_register_media(dev);
	if (ret)
		goto unregister;
	dev->registered = true;
	return 0;

unregister:
	/* Somebody may have opened it meanwhile, so nothing of it is used again. */
	dev->failed = ret;
	dev_err(&dev->pdev->dev, "no media device (%d): load the module again\n", ret);
	media_device_unregister(&dev->mdev);
	video_unregister_device(vdev);
	return ret;
cleanup:
	media_device_cleanup(&dev->mdev);
	return ret;
}

static void daedalus_unregister(struct daedalus_device *dev)
{
	if (!dev->registered)
		return;
	daedalus_unregister_media(dev);
	video_unregister_device(&dev->vdev);
	media_device_cleanup(&dev->mdev);
}

static int __init daedalus_init(void)
{
	/* A mask that leaves nothing to bounce: the "device" is the processor. */
	const struct platform_device_info info = {
		.name = DAEDALUS_NAME,
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};
	struct daedalus_device *dev = &daedalus;
	int ret;

	xa_init_flags(&dev->sessions, XA_FLAGS_ALLOC1);
	daedalus_init_users(dev);
	INIT_DELAYED_WORK(&dev->grace, daedalus_grace_over);
	dev->absent_since = jiffies;

	dev->pdev = platform_device_register_full(&info);
	if (IS_ERR(dev->pdev))
		return PTR_ERR(dev->pdev);
	dma_set_max_seg_size(&dev->pdev->dev, UINT_MAX);
	/* It is the processor. */
	daedalus_set_coherent(&dev->pdev->dev);
	strscpy(dev->v4l2_dev.name, DAEDALUS_NAME, sizeof(dev->v4l2_dev.name));
	ret = v4l2_device_register(&dev->pdev->dev, &dev->v4l2_dev);
	if (ret)
		goto unregister_pdev;
	ret = misc_register(&dev->misc);
	if (ret)
		goto unregister_v4l2;
	dev->debugfs = debugfs_create_dir(DAEDALUS_NAME, NULL);
	debugfs_create_file("statistics", 0400, dev->debugfs, NULL, &statistics_fops);
	return 0;

unregister_v4l2:
	v4l2_device_unregister(&dev->v4l2_dev);
unregister_pdev:
	platform_device_unregister(dev->pdev);
	return ret;
}

static void __exit daedalus_exit(void)
{
	struct daedalus_device *dev = &daedalus;

	/* Whoever let go of the module last, for a request, is through with what it did then. */
	synchronize_rcu_tasks();
	debugfs_remove_recursive(dev->debugfs);
	misc_deregister(&dev->misc);
	daedalus_unregister(dev);
	cancel_delayed_work_sync(&dev->grace);
	v4l2_device_unregister(&dev->v4l2_dev);
	platform_device_unregister(dev->pdev);
	xa_destroy(&dev->sessions);
}

module_init(daedalus_init);
module_exit(daedalus_exit);

MODULE_DESCRIPTION("V4L2 stateless video decoder whose decoder is a process");
MODULE_AUTHOR("The Daedalus authors");
MODULE_LICENSE("GPL");
/* MODULE_IMPORT_NS() of kernels before 6.13 took no string. */
MODULE_INFO(import_ns, "DMA_BUF");
