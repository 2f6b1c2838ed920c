/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Random calls on the module's devices, from several processes at once.
 *
 *	stress SEED SECONDS PROCESSES VIDEO MEDIA
 *
 * As a user whom the module's limits hold (65534). Whatever order they come in, each must come back: a process that is not done a while after its time is
 * stuck, and reported (status 1). What the calls return does not matter here; the kernel's log does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/media.h>
#include <linux/videodev2.h>

#define FILES	 6
#define REQUESTS 12
#define MAPPINGS 16
#define BUFFERS	 40
/* Of a later linux/videodev2.h and v4l2-controls.h than Debian 12 has. */
#define AV1_FRAME_FORMAT v4l2_fourcc('A', 'V', '1', 'F')
#define AV1_FIRST	 (V4L2_CID_CODEC_STATELESS_BASE + 500)

/* More than any control's value. */
#define VALUE	 (64 << 10)

static const char *video_path, *media_path;
static int video[FILES], media[2], requests[REQUESTS], dma_bufs[MAPPINGS];
static struct {
	void *start;
	size_t length;
} mappings[MAPPINGS];
static unsigned char value[VALUE];
static unsigned long calls, successes;

static unsigned int pick(unsigned int below)
{
	return (unsigned int)random() % below;
}

static uint32_t number(void)
{
	static const uint32_t edges[] = { 0, 1, 2, 16, 64, 4096, 16384, 16385, 65536, 0x7fffffff, 0x80000000,
					  0xffffffff };

	switch (pick(4)) {
	case 0:
		return edges[pick(sizeof(edges) / sizeof(*edges))];
	case 1:
		return (uint32_t)random() * 2u + pick(2);
	default:
		return pick(64);
	}
}

static void noise(void *to, size_t length)
{
	for (size_t at = 0; at < length; at++)
		((unsigned char *)to)[at] = pick(3) ? 0 : random();
}

static int call(int fd, unsigned long request, void *argument)
{
	int result = ioctl(fd, request, argument);

	calls++;
	successes += result == 0;
	return result;
}

static uint32_t queue(void)
{
	return pick(20) ? (pick(2) ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE) :
			  pick(16);
}

static uint32_t memory(void)
{
	return pick(10) ? (pick(3) ? V4L2_MEMORY_MMAP : V4L2_MEMORY_DMABUF) : pick(8);
}

static uint32_t coded_format(void)
{
	static const uint32_t formats[] = { V4L2_PIX_FMT_H264_SLICE, V4L2_PIX_FMT_VP9_FRAME,
					    AV1_FRAME_FORMAT, V4L2_PIX_FMT_NV12, V4L2_PIX_FMT_NV12M,
					    V4L2_PIX_FMT_P010 };

	return pick(15) ? formats[pick(6)] : (uint32_t)random();
}

static void set_format(int fd)
{
	struct v4l2_format format = { .type = queue() };

	if (!pick(8))
		noise(&format.fmt, sizeof(format.fmt));
	format.fmt.pix_mp.pixelformat = coded_format();
	format.fmt.pix_mp.width = pick(3) ? 16 + pick(256) : number();
	format.fmt.pix_mp.height = pick(3) ? 16 + pick(256) : number();
	format.fmt.pix_mp.num_planes = pick(3);
	format.fmt.pix_mp.plane_fmt[0].sizeimage = pick(2) ? 65536 : number();
	format.fmt.pix_mp.plane_fmt[0].bytesperline = pick(2) ? 0 : number();
	call(fd, pick(3) ? VIDIOC_S_FMT : VIDIOC_TRY_FMT, &format);
	if (!pick(4)) {
		struct v4l2_create_buffers create = { .count = pick(6), .memory = memory(), .format = format };

		call(fd, VIDIOC_CREATE_BUFS, &create);
	}
}

static void buffer(int fd, unsigned long request)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES];
	struct v4l2_buffer buffer = { .type = queue(), .index = pick(BUFFERS) / 4, .memory = memory() };

	memset(planes, 0, sizeof(planes));
	if (!pick(10))
		noise(planes, sizeof(planes));
	for (int plane = 0; plane < 3; plane++) {
		planes[plane].bytesused = pick(2) ? 64 : number();
		if (buffer.memory == V4L2_MEMORY_DMABUF)
			planes[plane].m.fd = dma_bufs[pick(MAPPINGS)];
	}
	buffer.m.planes = pick(30) ? planes : (void *)16;
	buffer.length = pick(10) ? 1 + pick(2) : number();
	buffer.timestamp.tv_usec = pick(1000);
	if (pick(2)) {
		buffer.flags = V4L2_BUF_FLAG_REQUEST_FD;
		buffer.request_fd = requests[pick(REQUESTS)];
	}
	if (!pick(4))
		buffer.flags |= V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF;
	if (call(fd, request, &buffer) || request != VIDIOC_QUERYBUF || !pick(2))
		return;
	for (int at = 0; at < MAPPINGS; at++) {
		if (mappings[at].start)
			continue;
		mappings[at].length = planes[0].length;
		mappings[at].start = mmap(NULL, planes[0].length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
					  planes[0].m.mem_offset);
		if (mappings[at].start == MAP_FAILED)
			mappings[at].start = NULL;
		return;
	}
}

static void export(int fd)
{
	struct v4l2_exportbuffer export = { .type = queue(), .index = pick(10), .plane = pick(3) };
	int at = pick(MAPPINGS);

	export.flags = O_CLOEXEC | (pick(2) ? O_RDWR : 0);
	if (call(fd, VIDIOC_EXPBUF, &export))
		return;
	if (dma_bufs[at] >= 0)
		close(dma_bufs[at]);
	dma_bufs[at] = export.fd;
}

static void controls(int fd)
{
	/* Those of each codec, one by one. */
	static const uint32_t bases[] = { V4L2_CID_STATELESS_H264_DECODE_MODE, V4L2_CID_STATELESS_VP9_FRAME,
					  AV1_FIRST };
	struct v4l2_ext_control list[4];
	struct v4l2_ext_controls all = { .count = 1 + pick(4), .controls = list };

	noise(value, pick(2) ? 256 : VALUE);
	memset(list, 0, sizeof(list));
	for (int at = 0; at < 4; at++) {
		struct v4l2_query_ext_ctrl query = { .id = bases[pick(3)] + pick(8) };

		list[at].id = query.id;
		list[at].ptr = value;
		list[at].size = pick(200);
		/* As long as it should be, most of the time. */
		if (call(fd, VIDIOC_QUERY_EXT_CTRL, &query) == 0 && pick(5))
			list[at].size = query.elem_size * (query.elems && pick(2) ? query.elems : 1);
		if (list[at].size > VALUE)
			list[at].size = VALUE;
		if (!pick(4)) {
			list[at].size = 0;
			list[at].value = pick(4);
		}
	}
	if (pick(2)) {
		all.which = V4L2_CTRL_WHICH_REQUEST_VAL;
		all.request_fd = requests[pick(REQUESTS)];
	}
	call(fd, pick(4) ? VIDIOC_S_EXT_CTRLS : pick(2) ? VIDIOC_TRY_EXT_CTRLS : VIDIOC_G_EXT_CTRLS, &all);
}

/* Everything right, but what is decoded: without it few requests would get to the daemon. */
static void decode(int fd, int media_fd)
{
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE };
	struct v4l2_plane plane = { .bytesused = 64 };
	struct v4l2_buffer buffer = { .memory = V4L2_MEMORY_MMAP, .m.planes = &plane, .length = 1 };
	struct v4l2_ext_control control = { .id = V4L2_CID_STATELESS_VP9_FRAME, .ptr = value };
	struct v4l2_ext_controls all = { .count = 1, .controls = &control,
					 .which = V4L2_CTRL_WHICH_REQUEST_VAL };
	int request, type;

	format.fmt.pix_mp.pixelformat = V4L2_PIX_FMT_VP9_FRAME;
	format.fmt.pix_mp.width = format.fmt.pix_mp.height = 64;
	format.fmt.pix_mp.num_planes = 1;
	format.fmt.pix_mp.plane_fmt[0].sizeimage = 4096;
	call(fd, VIDIOC_S_FMT, &format);
	for (int side = 0; side < 2; side++) {
		struct v4l2_requestbuffers ask = { .count = 4, .memory = V4L2_MEMORY_MMAP };

		type = side ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
		ask.type = type;
		call(fd, VIDIOC_REQBUFS, &ask);
		call(fd, VIDIOC_STREAMON, &type);
	}
	if (call(media_fd, MEDIA_IOC_REQUEST_ALLOC, &request))
		return;
	memset(value, 0, sizeof(struct v4l2_ctrl_vp9_frame));
	((struct v4l2_ctrl_vp9_frame *)value)->bit_depth = 8;
	((struct v4l2_ctrl_vp9_frame *)value)->frame_width_minus_1 = 63;
	((struct v4l2_ctrl_vp9_frame *)value)->frame_height_minus_1 = 63;
	((struct v4l2_ctrl_vp9_frame *)value)->flags = V4L2_VP9_FRAME_FLAG_KEY_FRAME |
						       V4L2_VP9_FRAME_FLAG_X_SUBSAMPLING |
						       V4L2_VP9_FRAME_FLAG_Y_SUBSAMPLING;
	control.size = sizeof(struct v4l2_ctrl_vp9_frame);
	all.request_fd = request;
	call(fd, VIDIOC_S_EXT_CTRLS, &all);
	for (buffer.index = 0; buffer.index < 4; buffer.index++) {
		buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
		buffer.flags = 0;
		call(fd, VIDIOC_QBUF, &buffer);
		buffer.type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
		buffer.flags = V4L2_BUF_FLAG_REQUEST_FD;
		buffer.request_fd = request;
		if (call(fd, VIDIOC_QBUF, &buffer) == 0)
			break;
	}
	call(request, MEDIA_REQUEST_IOC_QUEUE, NULL);
	if (pick(2)) {
		struct pollfd wait = { .fd = pick(2) ? request : fd, .events = POLLPRI | POLLIN | POLLOUT };

		poll(&wait, 1, 5);
	}
	if (pick(3))
		close(request);
	else
		requests[pick(REQUESTS)] = request;
}

static void other(int fd)
{
	union {
		struct v4l2_capability capability;
		struct v4l2_fmtdesc description;
		struct v4l2_frmsizeenum size;
		struct v4l2_event_subscription subscription;
		struct v4l2_event event;
		struct v4l2_decoder_cmd command;
		struct v4l2_selection selection;
		struct v4l2_remove_buffers {
			uint32_t index, count, type, reserved[13];
		} remove;
		char bytes[4096];
	} any;

	noise(&any, sizeof(any));
	switch (pick(8)) {
	case 0:
		call(fd, VIDIOC_QUERYCAP, &any);
		break;
	case 1:
		any.description.type = queue();
		any.description.index = pick(8);
		call(fd, VIDIOC_ENUM_FMT, &any);
		break;
	case 2:
		any.size.pixel_format = coded_format();
		any.size.index = pick(2);
		call(fd, VIDIOC_ENUM_FRAMESIZES, &any);
		break;
	case 3:
		any.subscription.type = pick(6);
		call(fd, pick(2) ? VIDIOC_SUBSCRIBE_EVENT : VIDIOC_UNSUBSCRIBE_EVENT, &any);
		break;
	case 4:
		call(fd, VIDIOC_DQEVENT, &any);
		break;
	case 5:
		memset(&any, 0, sizeof(any));
		any.command.cmd = pick(6);
		call(fd, pick(2) ? VIDIOC_DECODER_CMD : VIDIOC_TRY_DECODER_CMD, &any);
		break;
	case 6:
		any.remove.index = pick(8);
		any.remove.count = number();
		any.remove.type = queue();
		call(fd, _IOWR('V', 104, struct v4l2_remove_buffers), &any);
		break;
	default:
		/* Any call of the subsystem, with anything. */
		call(fd, _IOC(_IOC_READ | _IOC_WRITE, pick(10) ? 'V' : '|', pick(256), pick(512)), &any);
	}
}

static void replace(int *fd, int with)
{
	if (*fd >= 0)
		close(*fd);
	*fd = with;
}

static void step(void)
{
	int *file = &video[pick(FILES)], fd = *file, *request = &requests[pick(REQUESTS)], type = queue(), at;
	struct v4l2_requestbuffers ask = { .count = pick(10), .type = queue(), .memory = memory() };

	switch (pick(24)) {
	case 0:
		replace(file, open(video_path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
		break;
	case 1:
		if (!pick(4))
			replace(file, -1);
		break;
	case 2:
		replace(file, dup(video[pick(FILES)]));
		break;
	case 3:
		replace(&media[pick(2)], open(media_path, O_RDWR | O_CLOEXEC));
		break;
	case 4:
	case 5:
		replace(request, -1);
		if (call(media[pick(2)], MEDIA_IOC_REQUEST_ALLOC, request))
			*request = -1;
		break;
	case 6:
		call(*request, pick(3) ? MEDIA_REQUEST_IOC_QUEUE : MEDIA_REQUEST_IOC_REINIT, NULL);
		break;
	case 7:
	case 8:
		set_format(fd);
		break;
	case 9:
		call(fd, VIDIOC_REQBUFS, &ask);
		break;
	case 10:
	case 11:
		call(fd, pick(4) ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type);
		break;
	case 12:
	case 13:
		buffer(fd, VIDIOC_QBUF);
		break;
	case 14:
		buffer(fd, VIDIOC_DQBUF);
		break;
	case 15:
		buffer(fd, VIDIOC_QUERYBUF);
		break;
	case 16:
		export(fd);
		break;
	case 17:
	case 18:
		controls(fd);
		break;
	case 19:
		at = pick(MAPPINGS);
		if (mappings[at].start) {
			*(volatile char *)mappings[at].start = 1;
			munmap(mappings[at].start, mappings[at].length);
		}
		mappings[at].start = NULL;
		break;
	case 20:
		/* A child has all of it as well, for a moment. */
		if (pick(20) == 0 && fork() == 0) {
			usleep(pick(3000));
			_exit(0);
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		break;
	case 21:
	case 22:
		decode(fd, media[pick(2)]);
		break;
	default:
		other(fd);
	}
}

static void work(unsigned int seed, time_t end)
{
	srandom(seed);
	/* Root's buffers have no limit but the machine's memory. */
	if (setgid(65534) || setuid(65534)) {
		perror("setuid");
		_exit(1);
	}
	for (int at = 0; at < FILES; at++)
		video[at] = -1;
	for (int at = 0; at < REQUESTS; at++)
		requests[at] = -1;
	for (int at = 0; at < MAPPINGS; at++)
		dma_bufs[at] = -1;
	media[0] = media[1] = -1;
	while (time(NULL) < end)
		step();
	printf("seed %u: %lu calls, %lu succeeded\n", seed, calls, successes);
	fflush(stdout);
	/* Everything that is open goes with the process. */
	_exit(0);
}

int main(int argc, char **argv)
{
	int processes, left, status;
	time_t end;

	if (argc != 6) {
		fprintf(stderr, "usage: stress SEED SECONDS PROCESSES VIDEO MEDIA\n");
		return 2;
	}
	end = time(NULL) + atoi(argv[2]);
	processes = left = atoi(argv[3]);
	video_path = argv[4];
	media_path = argv[5];
	for (int process = 0; process < processes; process++) {
		fflush(stdout);
		if (fork() == 0)
			work(atoi(argv[1]) + process, end);
	}
	while (left) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0) {
			left--;
			if (status) {
				fprintf(stderr, "a process ended with status %#x\n", status);
				return 1;
			}
		} else if (time(NULL) > end + 30) {
			fprintf(stderr, "%d processes are stuck\n", left);
			return 1;
		} else {
			usleep(10000);
		}
	}
	return 0;
}
