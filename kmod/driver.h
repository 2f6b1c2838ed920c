/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * daedalus: a V4L2 stateless decoder whose hardware is a process.
 *
 * How the pieces meet: a client opens the video device and gets a context
 * (context.c), with a coded (OUTPUT) and a decoded (CAPTURE) queue, formats
 * (formats.c, ioctls.c) and controls (controls.c). A queued request (messages.c) and a
 * free CAPTURE buffer make a job (jobs.c). The daemon takes jobs by reading from
 * /dev/daedalus, and completes them (daemon.c). main.c owns the devices, media.c
 * describes them to the media controller, users.c limits what each user may have,
 * memory.c and export.c are what buffers are made of, and faults.c keeps locks from
 * waiting for clients' memory.
 *
 * Amd64 kernels of distributions come without v4l2-mem2mem, so none of it is used:
 * queues are videobuf2's. It schedules one job at a time, which is not what a
 * decoder on several cores wants, anyway.
 *
 * Locks, outermost first:
 *   daedalus_device.lock	the daemon's coming and going, the set of contexts
 *   mmap_lock of a process
 *   daedalus_context.lock	the queues of one context (vb2_queue.lock)
 *   daedalus_context.jobs_lock	which buffer is where
 *   daedalus_device.users_lock	who has what; nothing is taken inside of it
 *   daedalus_device.queue_lock	what the daemon is to read next, and has left (spinlock)
 * None of these is held while user memory is touched, or while anybody waits (but the third,
 * for who has made a frame that is imported); nor is the lock of a context's controls, or the
 * media graph's, which are the framework's: faults.c and media.c see to that. The daemon takes
 * neither those nor daedalus_context.lock all the same: clients allocate with them.
 */
#ifndef DAEDALUS_DRIVER_H
#define DAEDALUS_DRIVER_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <media/media-device.h>
#include <media/media-devnode.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-device.h>
#include <media/v4l2-fh.h>
#include <media/videobuf2-v4l2.h>

#include "uapi/daedalus.h"

#define DAEDALUS_NAME		"daedalus"
/* The most that one OUTPUT buffer holds: raw macroblocks of the largest frames. */
#define DAEDALUS_MAX_CODED_SIZE SZ_64M
/* More than the 32 of old: players keep that many frames, and surfaces should keep theirs. */
#define DAEDALUS_MAX_BUFFERS	64

struct platform_device;

/* Somebody with sessions, or with memory of former ones. */
struct daedalus_user {
	struct list_head list; /* in daedalus_device.users */
	kuid_t uid;
	struct daedalus_device *dev;
	unsigned int references; /* of contexts, memory, media requests; under users_lock */
	unsigned int sessions; /* that are open, under users_lock */
	unsigned int media_requests; /* under users_lock */
	atomic_t requests;
	atomic64_t bytes;
	u64 turn; /* when the daemon last took something of theirs, under queue_lock */
};

/* What a queued coded buffer counts for its user. */
struct daedalus_charge {
	struct list_head list; /* in daedalus_context.owed or daedalus_device.left */
	u64 cookie; /* of the job, there */
	u32 generation; /* of the daemon that has it, there */
	struct daedalus_user *user;
	unsigned long size;
};

/* One control of a codec. */
struct daedalus_control_desc {
	struct v4l2_ctrl_config config;
	/* Part of the messages to the daemon. */
	bool sent;
	/* Belongs to one picture, so every request must have it. */
	bool per_picture;
};

/* One coded format. */
struct daedalus_codec {
	u32 pixelformat;
	u32 bit; /* DAEDALUS_CODEC_* */
	const struct daedalus_control_desc *controls;
	unsigned int num_controls;
};

/* A message on its way to the daemon; the rest of the memory is its content. */
struct daedalus_message_copy {
	union {
		struct daedalus_message head;
		struct daedalus_open open;
		struct daedalus_decode decode;
		DECLARE_FLEX_ARRAY(u8, bytes);
	};
};

/* A message that was not asked for by a client's request. */
struct daedalus_notice {
	struct list_head list;
	union {
		struct daedalus_message head;
		struct daedalus_forget forget;
	};
};

struct daedalus_statistics {
	atomic_t users;
	atomic_t contexts;
	atomic_t buffers;
	atomic_t jobs;
	atomic64_t completed;
	atomic64_t failed;
	atomic64_t cancelled;
};

/* The device: there is one. */
struct daedalus_device {
	struct miscdevice misc;
	struct platform_device *pdev;
	struct v4l2_device v4l2_dev;
	struct video_device vdev;
	struct media_device mdev;
	struct media_entity source;
	struct media_entity decoder;
	struct media_entity sink;
	struct media_pad source_pad;
	struct media_pad decoder_pads[2];
	struct media_pad sink_pad;
	struct media_file_operations media_fops; /* the framework's, but for ioctls */
	const struct media_file_operations *framework_fops;
	struct dentry *debugfs;

	struct mutex lock; /* see the top of this file */
	bool registered;
	int failed; /* why it never will be, or 0 */
	struct daedalus_attach daemon_caps;
	struct xarray sessions; /* of struct daedalus_context */
	u32 next_session;

	struct mutex users_lock; /* see the top of this file */
	struct list_head users;

	spinlock_t queue_lock; /* see the top of this file */
	struct file *daemon; /* the attached one */
	u32 generation; /* counts daemons, from 1 */
	unsigned long absent_since;
	struct list_head ready; /* contexts that have a job, the longest first */
	u64 last_turn;
	struct list_head notices;
	struct list_head left; /* charges owed by sessions that are over */
	wait_queue_head_t wait;
	struct delayed_work grace;

	atomic64_t last_cookie;
	atomic64_t last_buffer;
	struct daedalus_statistics statistics;
};

/* A vb2 buffer of either queue. */
struct daedalus_buffer {
	struct vb2_v4l2_buffer vb; /* first, as vb2 wants it */
	struct list_head list;
	bool initialised; /* its memory is known here */

	/* OUTPUT: the request, until the daemon takes it; NULL then, or if it is broken. */
	struct daedalus_message_copy *message;
	struct daedalus_charge *charge; /* from its preparation on */
	/* And the job that it is from then on. */
	u64 cookie;
	u32 generation; /* of the daemon that has it */
	struct daedalus_buffer *frame;
	bool finished;
	u32 status;

	/* CAPTURE: */
	u64 id; /* what the daemon knows the memory by */
	u32 known_to; /* the generation that has heard of it */
	struct daedalus_notice *forget;
	unsigned int users; /* jobs that write it */
	bool held; /* V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF */
	u32 worst; /* status of those that have finished */
};

/* One open file: a session. */
struct daedalus_context {
	struct v4l2_fh fh;
	struct kref ref;
	struct daedalus_device *dev;
	u32 session;
	struct pid *client;
	kuid_t uid;
	struct daedalus_user *user;
	struct v4l2_ctrl_handler controls;

	struct mutex lock; /* see the top of this file */
	struct vb2_queue coded;
	struct vb2_queue decoded;
	const struct daedalus_codec *codec;
	struct v4l2_pix_format_mplane coded_format;
	struct v4l2_pix_format_mplane decoded_format;
	/* Bits per sample as the controls say, 0: they have not said yet. */
	unsigned int depth;

	struct mutex jobs_lock; /* see the top of this file */
	struct list_head waiting_coded;
	struct list_head waiting_decoded;
	struct list_head jobs; /* the daemon has them; in decode order */
	struct list_head owed; /* charges of jobs that it has, but the client no more */
	struct daedalus_buffer *held;
	u32 coded_sequence;
	u32 decoded_sequence;

	struct list_head ready; /* in daedalus_device.ready, under queue_lock */
	u32 announced_to; /* the generation that has got an OPEN, under queue_lock */
	bool closed; /* by its client, under queue_lock */
};

static inline struct daedalus_buffer *to_daedalus_buffer(struct vb2_buffer *vb)
{
	return container_of(to_vb2_v4l2_buffer(vb), struct daedalus_buffer, vb);
}

/* main.c */
extern unsigned int daedalus_grace_ms;
int daedalus_register(struct daedalus_device *dev);

/* media.c */
int daedalus_register_media(struct daedalus_device *dev);
void daedalus_unregister_media(struct daedalus_device *dev);
extern const struct media_device_ops daedalus_media_ops;

/* context.c */
extern const struct v4l2_file_operations daedalus_video_fops;
struct daedalus_context *daedalus_file_context(struct file *file);
struct daedalus_context *daedalus_context_find(struct daedalus_device *dev, u64 session);
void daedalus_context_put(struct daedalus_context *ctx);

/* controls.c */
extern const struct daedalus_codec daedalus_codecs[];
extern const unsigned int daedalus_num_codecs;
int daedalus_init_controls(struct daedalus_context *ctx);
void daedalus_free_controls(struct daedalus_context *ctx);
size_t daedalus_controls_size(struct daedalus_context *ctx);
size_t daedalus_copy_controls(struct daedalus_context *ctx, void *to, u32 *count);
size_t daedalus_max_controls_size(void);

/* formats.c */
const struct daedalus_codec *daedalus_find_codec(struct daedalus_device *dev, u32 pixelformat);
const struct daedalus_codec *daedalus_nth_codec(struct daedalus_device *dev, unsigned int n);
int daedalus_nth_decoded(struct daedalus_context *ctx, unsigned int n, bool all, u32 *pixelformat);
unsigned int daedalus_depth(u32 pixelformat);
void daedalus_reset_formats(struct daedalus_context *ctx);
bool daedalus_has_prepared(struct vb2_queue *queue);
void daedalus_update_decoded(struct daedalus_context *ctx);
void daedalus_try_coded(struct daedalus_device *dev, struct v4l2_pix_format_mplane *format);
void daedalus_try_decoded(struct daedalus_context *ctx, struct v4l2_pix_format_mplane *format);
void daedalus_describe_frame(const struct v4l2_pix_format_mplane *format,
			     struct daedalus_decode *decode);

/* faults.c */
long daedalus_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long daedalus_without_faults(struct file *file, unsigned int cmd, unsigned long arg,
			     long (*ioctl)(struct file *file, unsigned int cmd, unsigned long arg),
			     int (*fault_in)(unsigned int cmd, void __user *arg));

/* ioctls.c */
extern const struct v4l2_ioctl_ops daedalus_ioctl_ops;
#define DAEDALUS_DECODED_OFFSET BIT(30) /* of CAPTURE buffers in mmap() */

/* jobs.c */
int daedalus_init_queues(struct daedalus_context *ctx);
void daedalus_buf_cleanup(struct vb2_buffer *vb);
struct daedalus_message_copy *daedalus_take_job(struct daedalus_context *ctx);
int daedalus_finish_job(struct daedalus_context *ctx, u64 cookie, u32 status);
struct daedalus_buffer *daedalus_find_job(struct daedalus_context *ctx, u64 cookie);
void daedalus_fail_jobs(struct daedalus_context *ctx, bool taken);
void daedalus_update(struct daedalus_context *ctx);
void daedalus_flush_held(struct daedalus_context *ctx);
void daedalus_settle_list(struct list_head *list);
void daedalus_leave_owed(struct daedalus_context *ctx);
void daedalus_settle_left(struct daedalus_device *dev, u64 cookie);

/* messages.c */
size_t daedalus_message_size(void);
struct daedalus_message_copy *daedalus_open_message(struct daedalus_context *ctx);
struct daedalus_message_copy *daedalus_decode_message(struct daedalus_context *ctx,
						      struct daedalus_buffer *buffer);
void daedalus_describe_job(struct daedalus_context *ctx, struct daedalus_buffer *job,
			   struct daedalus_message_copy *copy);

/* users.c */
void daedalus_init_users(struct daedalus_device *dev);
int daedalus_join_user(struct daedalus_context *ctx);
void daedalus_end_session(struct daedalus_context *ctx);
void daedalus_leave_user(struct daedalus_context *ctx);
struct daedalus_user *daedalus_join_media(struct daedalus_device *dev);
void daedalus_leave_media(struct daedalus_user *user);
struct daedalus_charge *daedalus_charge_request(struct daedalus_context *ctx, unsigned long size);
void daedalus_uncharge_request(struct daedalus_charge *charge);
int daedalus_charge_memory(struct daedalus_user *user, unsigned long size);
void daedalus_uncharge_memory(struct daedalus_user *user, unsigned long size);

/* memory.c */
extern const struct vb2_mem_ops daedalus_memory_ops;
int daedalus_pin_imports(struct vb2_buffer *vb);
void *daedalus_data_alloc(size_t size);

/* daemon.c */
extern const struct file_operations daedalus_daemon_fops;
void daedalus_notify(struct daedalus_context *ctx, u32 type);
void daedalus_give_notice(struct daedalus_context *ctx, struct daedalus_notice *notice);
void daedalus_grace_over(struct work_struct *work);

#endif
