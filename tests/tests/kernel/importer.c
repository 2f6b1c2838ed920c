/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A client that queues memory of one session in another, as dma-bufs, with lengths that are none, and with
 * descriptors that are none after good ones; and that maps buffers which are just being made and freed:
 *
 *	importer VIDEO
 *
 * Prints a line for each length, with the error of VIDIOC_QBUF or "none". Closes everything.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <linux/videodev2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 65536
#define LARGE (4 << 20)
#define ROUNDS 200

static atomic_bool over;

static void check(const char *what, int result)
{
	if (result < 0) {
		perror(what);
		exit(2);
	}
}

/* A session whose coded queue has one buffer. */
static int start(const char *video, uint32_t memory, uint32_t size)
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
	format.fmt.pix_mp.plane_fmt[0].sizeimage = size;
	check("VIDIOC_S_FMT", ioctl(fd, VIDIOC_S_FMT, &format));
	check("VIDIOC_REQBUFS", ioctl(fd, VIDIOC_REQBUFS, &buffers));
	return fd;
}

/* Queues it; what went wrong, or zero. */
static int queue(int fd, int memory, uint32_t length)
{
	struct v4l2_plane plane = { .bytesused = 1, .length = length, .m.fd = memory };
	struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
				      .memory = V4L2_MEMORY_DMABUF,
				      .m.planes = &plane,
				      .length = 1 };

	return ioctl(fd, VIDIOC_QBUF, &buffer) ? errno : 0;
}

/* Each time, videobuf2 lets go of the good memory without a word to the module. */
static void bad_after_good(int fd, int memory)
{
	int type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;

	for (int round = 0; round < ROUNDS; round++) {
		check("VIDIOC_STREAMOFF", ioctl(fd, VIDIOC_STREAMOFF, &type));
		if (queue(fd, memory, SIZE) || ioctl(fd, VIDIOC_STREAMOFF, &type) ||
		    queue(fd, -1, SIZE) != EINVAL) {
			fprintf(stderr, "round %d: %s\n", round, strerror(errno));
			exit(2);
		}
	}
}

static void *map(void *session)
{
	while (!over) {
		void *memory = mmap(NULL, LARGE, PROT_READ, MAP_SHARED, *(int *)session, 0);

		if (memory != MAP_FAILED)
			munmap(memory, LARGE);
	}
	return NULL;
}

/* There is a buffer to map before it has memory. */
static void map_what_is_made(const char *video)
{
	int session = start(video, V4L2_MEMORY_MMAP, LARGE);
	struct v4l2_requestbuffers buffers = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
					       .memory = V4L2_MEMORY_MMAP };
	pthread_t mapping;

	if (pthread_create(&mapping, NULL, map, &session))
		exit(2);
	for (int round = 0; round < 10 * ROUNDS; round++) {
		buffers.count = round % 2;
		check("VIDIOC_REQBUFS", ioctl(session, VIDIOC_REQBUFS, &buffers));
	}
	over = true;
	pthread_join(mapping, NULL);
	close(session);
}

int main(int argc, char **argv)
{
	static const uint32_t lengths[] = { SIZE + 4096, UINT32_MAX, SIZE - 4096, SIZE };
	struct v4l2_exportbuffer export = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE, .flags = O_CLOEXEC };
	int exporter, importer;

	if (argc != 2)
		return 2;
	exporter = start(argv[1], V4L2_MEMORY_MMAP, SIZE);
	check("VIDIOC_EXPBUF", ioctl(exporter, VIDIOC_EXPBUF, &export));
	importer = start(argv[1], V4L2_MEMORY_DMABUF, SIZE);
	for (size_t at = 0; at < sizeof(lengths) / sizeof(*lengths); at++) {
		int failed = queue(importer, export.fd, lengths[at]);

		printf("%u %s\n", lengths[at], failed ? strerrorname_np(failed) : "none");
	}
	bad_after_good(importer, export.fd);
	map_what_is_made(argv[1]);
	close(export.fd);
	close(importer);
	close(exporter);
	return 0;
}
