/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT OR Apache-2.0 */
/*
 * The protocol of /dev/daedalus: how the V4L2 stateless decoder device of this
 * module reaches the process that decodes, the daemon.
 *
 * The daemon opens the device (one at a time), attaches, and then read()s
 * messages, one per call. Each DECODE message is one V4L2 request: controls and
 * coded bytes. The daemon decodes, writes the picture into the capture buffer,
 * which DAEDALUS_IOC_GET_BUFFER hands out as dma-bufs, and reports with
 * DAEDALUS_IOC_COMPLETE. Requests of a session are to be decoded in the order of
 * their messages; they may be completed in any order, and the client gets them
 * back in decode order. poll() reports POLLIN when there is a message.
 *
 * The messages of a session come in the order OPEN, then DECODE, FLUSH and
 * FORGET, then CLOSE. When the daemon closes the device, or dies, the requests
 * that it has read are returned to their clients as failed; the others wait for
 * the next daemon, for the time of the module's parameter grace_ms.
 *
 * All integers are in host byte order.
 */
#ifndef _UAPI_DAEDALUS_H
#define _UAPI_DAEDALUS_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* What this header describes. A module refuses daemons of another version. */
#define DAEDALUS_PROTOCOL_VERSION 1

/* Codecs, as bits of daedalus_attach.codecs. */
#define DAEDALUS_CODEC_H264 0x1
#define DAEDALUS_CODEC_VP9  0x2
#define DAEDALUS_CODEC_AV1  0x4

/**
 * struct daedalus_attach - what a daemon can do
 * @version:	DAEDALUS_PROTOCOL_VERSION. The module writes its own version here,
 *		also when it refuses the daemon's (EPROTO)
 * @codecs:	DAEDALUS_CODEC_* bits
 * @codecs_10bit: those of @codecs that also decode 10 bits per sample
 * @max_width:	largest frame in luma samples
 * @max_height:	largest frame in luma samples
 * @message_size: written by the module: the most bytes that one read() returns
 * @reserved:	zero
 */
struct daedalus_attach {
	__u32 version;
	__u32 codecs;
	__u32 codecs_10bit;
	__u32 max_width;
	__u32 max_height;
	__u32 message_size;
	__u32 reserved[10];
};

/* Message types. */
#define DAEDALUS_MSG_OPEN   1 /* struct daedalus_open */
#define DAEDALUS_MSG_CLOSE  2 /* struct daedalus_message alone */
#define DAEDALUS_MSG_FLUSH  3 /* struct daedalus_message alone */
#define DAEDALUS_MSG_FORGET 4 /* struct daedalus_forget */
#define DAEDALUS_MSG_DECODE 5 /* struct daedalus_decode and what follows it */

/**
 * struct daedalus_message - the beginning of every message
 * @type:	DAEDALUS_MSG_*
 * @size:	of the whole message in bytes, this header included
 * @session:	the session that it is about
 */
struct daedalus_message {
	__u32 type;
	__u32 size;
	__u64 session;
};

/**
 * struct daedalus_open - a session begins: one client, one coded stream
 * @head:	type DAEDALUS_MSG_OPEN
 * @codec:	one of DAEDALUS_CODEC_*
 * @uid:	of the client, in the daemon's user namespace
 * @pid:	of the client (thread group), in the daemon's pid namespace; 0 if it
 *		is not there
 * @reserved:	zero
 *
 * DAEDALUS_MSG_FLUSH says that the client has taken back what it had queued (it
 * seeks, or stops): requests of the session that were read before this message
 * are void. They are to be completed all the same (ENOENT), and so are those of a
 * session that DAEDALUS_MSG_CLOSE has ended: until then they count among those that
 * the client's user may have.
 */
struct daedalus_open {
	struct daedalus_message head;
	__u32 codec;
	__u32 uid;
	__u32 pid;
	__u32 reserved;
};

/**
 * struct daedalus_forget - a capture buffer goes away: unmap it
 * @head:	type DAEDALUS_MSG_FORGET
 * @buffer:	daedalus_decode.buffer of earlier requests; never used again
 */
struct daedalus_forget {
	struct daedalus_message head;
	__u64 buffer;
};

/* Flags of daedalus_decode. */
#define DAEDALUS_DECODE_HOLD 0x1 /* V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF */

/* A frame lies in one or two dma-bufs, and has two planes: luma, chroma. */
#define DAEDALUS_MAX_PLANES 2

/**
 * struct daedalus_decode - one request
 * @head:	type DAEDALUS_MSG_DECODE
 * @cookie:	names the request in ioctls, together with the session
 * @timestamp:	of the OUTPUT buffer in nanoseconds: names the picture for later
 *		requests, whose controls refer to it
 * @buffer:	names the capture buffer: the same number is the same memory, until
 *		DAEDALUS_MSG_FORGET
 * @flags:	DAEDALUS_DECODE_*
 * @pixelformat: V4L2_PIX_FMT_NV12, _NV12M or _P010
 * @width:	of the frame in luma samples
 * @height:	of the frame in luma samples
 * @num_buffers: of dma-bufs: 1, or 2 (NV12M: luma, chroma)
 * @buffer_size: bytes of each dma-buf
 * @pitch:	bytes from one row to the next: luma, chroma
 * @offset:	bytes from the start of the plane's dma-buf: luma, chroma
 * @num_controls: struct daedalus_control that follow
 * @data_offset: bytes from the start of the message to the coded data
 * @data_size:	bytes of coded data
 * @reserved:	zero
 *
 * The controls follow, each at a multiple of 8 bytes. They are all that the codec
 * has, in the order of their ids, as the client set them in this request or, where
 * it did not, before.
 */
struct daedalus_decode {
	struct daedalus_message head;
	__u64 cookie;
	__u64 timestamp;
	__u64 buffer;
	__u32 flags;
	__u32 pixelformat;
	__u32 width;
	__u32 height;
	__u32 num_buffers;
	__u32 buffer_size[DAEDALUS_MAX_PLANES];
	__u32 pitch[DAEDALUS_MAX_PLANES];
	__u32 offset[DAEDALUS_MAX_PLANES];
	__u32 num_controls;
	__u32 data_offset;
	__u32 data_size;
	__u32 reserved[2];
};

/**
 * struct daedalus_control - one control; its value follows
 * @id:		V4L2_CID_STATELESS_*
 * @size:	bytes of the value: the V4L2 struct, or an array of it
 */
struct daedalus_control {
	__u32 id;
	__u32 size;
};

/**
 * struct daedalus_get_buffer - asks for a dma-buf of a request's capture buffer
 * @session:	of the request
 * @cookie:	of the request, which must not be completed yet
 * @index:	which dma-buf, below daedalus_decode.num_buffers
 * @fd:		written by the module: a new file descriptor, close-on-exec
 */
struct daedalus_get_buffer {
	__u64 session;
	__u64 cookie;
	__u32 index;
	__s32 fd;
};

/* What became of a request. */
#define DAEDALUS_STATUS_OK	0 /* the capture buffer holds the picture */
#define DAEDALUS_STATUS_DAMAGED 1 /* it holds a picture with wrong parts */
#define DAEDALUS_STATUS_FAILED	2 /* it holds no picture */

/**
 * struct daedalus_complete - gives a request back
 * @session:	of the request
 * @cookie:	of the request
 * @status:	DAEDALUS_STATUS_*
 * @reserved:	zero
 *
 * ENOENT: the client has taken the request back, or is gone.
 */
struct daedalus_complete {
	__u64 session;
	__u64 cookie;
	__u32 status;
	__u32 reserved;
};

/*
 * EBUSY: another daemon is attached. EPROTO: another version. EINVAL: no codec, or
 * sizes that make no sense. ENOTCONN from everything else: not attached yet.
 */
#define DAEDALUS_IOC_ATTACH	_IOWR('D', 0x00, struct daedalus_attach)
#define DAEDALUS_IOC_GET_BUFFER _IOWR('D', 0x01, struct daedalus_get_buffer)
#define DAEDALUS_IOC_COMPLETE	_IOW('D', 0x02, struct daedalus_complete)

#endif
