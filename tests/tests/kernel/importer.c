/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A client that queues memory of one session in another, as dma-bufs, with lengths that are none:
 *
 *	importer VIDEO
 *
 * Prints a line for each length, with the error of VIDIOC_QBUF or "none". Closes everything.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SIZE 65536

static void check(const char *what, int result)
{
	if (result < 0) {
		perror(what);
		exit(2);
	}
}

/* A session whose coded queue has one buffer. */
static int start(const char *video, uint32_t memory)
{
	struct v4l2_requestbuffers buffers = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
					       .memory = memory,
					       .count = 1 };
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE };
	int fd = open(video, O_RDWR | O_NONBLOCK);

	check(video, fd);
	format.fmt.pix_mp.width = 64;
	format.fmt.pix_mp.height = 64;
	format.fmt.pix_mp.pixelformat = V4L2_PIX_FMT_H264_SLICE;
	format.fmt.pix_mp.num_planes = 1;
	format.fmt.pix_mp.plane_fmt[0].sizeimage = SIZE;
	check("VIDIOC_S_FMT", ioctl(fd, VIDIOC_S_FMT, &format));
	check("VIDIOC_REQBUFS", ioctl(fd, VIDIOC_REQBUFS, &buffers));
	return fd;
}

int main(int argc, char **argv)
{
	static const uint32_t lengths[] = { SIZE + 4096, UINT32_MAX, SIZE - 4096, SIZE };
	struct v4l2_exportbuffer export = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE, .flags = O_CLOEXEC };
	int exporter, importer;

	if (argc != 2)
		return 2;
	exporter = start(argv[1], V4L2_MEMORY_MMAP);
	check("VIDIOC_EXPBUF", ioctl(exporter, VIDIOC_EXPBUF, &export));
	importer = start(argv[1], V4L2_MEMORY_DMABUF);
	for (size_t at = 0; at < sizeof(lengths) / sizeof(*lengths); at++) {
		struct v4l2_plane plane = { .bytesused = 1, .length = lengths[at], .m.fd = export.fd };
		struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
					      .memory = V4L2_MEMORY_DMABUF,
					      .m.planes = &plane,
					      .length = 1 };
		int failed = ioctl(importer, VIDIOC_QBUF, &buffer);

		printf("%u %s\n", lengths[at], failed ? strerrorname_np(errno) : "none");
	}
	close(export.fd);
	close(importer);
	close(exporter);
	return 0;
}
