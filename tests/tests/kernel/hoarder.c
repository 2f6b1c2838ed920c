/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A client that takes what it can get:
 *
 *	hoarder UID VIDEO sessions|memory|exports|requests COUNT
 *
 * As user UID it asks for COUNT sessions, sessions with a mebibyte of buffers each, as much memory without a
 * session (dma-bufs that outlive it), or coded buffers in a queue. Prints how many it got and the error that ended that ("none" if nothing did), and keeps them until
 * its input ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *video;

static int start(void)
{
	int fd = open(video, O_RDWR | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* Asks for coded buffers. */
static int allocate(int fd, unsigned int count, unsigned int size)
{
	struct v4l2_requestbuffers buffers = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
					       .memory = V4L2_MEMORY_MMAP,
					       .count = count };
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE };

	format.fmt.pix_mp.width = 64;
	format.fmt.pix_mp.height = 64;
	format.fmt.pix_mp.pixelformat = V4L2_PIX_FMT_H264_SLICE;
	format.fmt.pix_mp.num_planes = 1;
	format.fmt.pix_mp.plane_fmt[0].sizeimage = size;
	if (ioctl(fd, VIDIOC_S_FMT, &format) || ioctl(fd, VIDIOC_REQBUFS, &buffers))
		return -errno;
	return buffers.count == count ? 0 : -ENOMEM;
}

static int queue(int fd, unsigned int index)
{
	struct v4l2_plane plane = { .bytesused = 1 };
	struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
				      .memory = V4L2_MEMORY_MMAP,
				      .index = index,
				      .m.planes = &plane,
				      .length = 1 };

	return ioctl(fd, VIDIOC_QBUF, &buffer) ? -errno : 0;
}

/* Ends a session whose first buffer stays as a dma-buf. */
static int export(int fd)
{
	struct v4l2_exportbuffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE, .flags = O_CLOEXEC };
	int error = ioctl(fd, VIDIOC_EXPBUF, &buffer) ? -errno : 0;

	close(fd);
	return error;
}

int main(int argc, char **argv)
{
	int count, got = 0, fd = -1, error = 0;
	uid_t uid;

	if (argc != 5)
		return 2;
	uid = atoi(argv[1]);
	video = argv[2];
	count = atoi(argv[4]);
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid)) {
		perror("becoming another user");
		return 2;
	}
	if (!strcmp(argv[3], "requests")) {
		fd = start();
		error = fd < 0 ? fd : allocate(fd, count, 1 << 16);
	}
	while (!error && got < count) {
		if (!strcmp(argv[3], "requests")) {
			error = queue(fd, got);
		} else {
			fd = start();
			error = fd < 0 ? fd : 0;
			if (!error && strcmp(argv[3], "sessions"))
				error = allocate(fd, 1, 1 << 20);
			if (!error && !strcmp(argv[3], "exports"))
				error = export(fd);
		}
		got += !error;
	}
	printf("%d %s\n", got, error ? strerrorname_np(-error) : "none");
	fflush(stdout);
	getchar();
	return 0;
}
