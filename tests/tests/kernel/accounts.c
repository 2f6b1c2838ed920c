/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A daemon and its clients in one process, so that what each of them does happens in a known order:
 *
 *	accounts VIDEO MEDIA SCENARIO LIMIT
 *
 * The parameter requests_per_user is LIMIT. Scenarios:
 *	large		coded data that the daemon has no room for
 *	removed		buffers that are prepared and removed
 *	owed		requests that are taken back while the daemon has them
 *	closing		requests that are completed while their session ends
 *	turns		many sessions of one user beside one of another
 *	media		media requests without end
 *	ends		sessions that end while they are announced
 *	stalls		a page of a control's value that does not come
 *	values		pages of a control's value that nobody has written to
 *	high		a client above its control group's memory.high; CGROUP in the environment is the group's folder
 *
 * Prints what it found when all is right; ends with status 1 and says what is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/media.h>
#include <linux/userfaultfd.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../kmod/uapi/daedalus.h"

#define CODED	V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE
#define DECODED V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE

/* Newer than the headers of Debian 12. */
struct remove_buffers {
	__u32 index;
	__u32 count;
	__u32 type;
	__u32 reserved[13];
};
#define REMOVE_BUFS _IOWR('V', 104, struct remove_buffers)

#define USER  1001
#define OTHER 1002

static const char *video, *media;
static int device, limit;
static size_t message_size;
static struct daedalus_decode *message;

static void expect(int is, const char *what)
{
	if (is)
		return;
	fprintf(stderr, "accounts: %s (%s)\n", what, strerror(errno));
	exit(1);
}

/* Its effective user has no capabilities; root can come back. */
static void become(uid_t uid)
{
	expect(!setresuid(uid, uid, 0), "another user");
}

static void attach(void)
{
	struct daedalus_attach attach = {
		.version = DAEDALUS_PROTOCOL_VERSION,
		.codecs = DAEDALUS_CODEC_VP9,
		.max_width = 4096,
		.max_height = 4096,
	};

	device = open("/dev/daedalus", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	expect(device >= 0 && !ioctl(device, DAEDALUS_IOC_ATTACH, &attach), "attaching");
	message_size = attach.message_size;
	message = malloc(message_size);
	expect(!!message, "memory");
}

/* The next message within MS milliseconds, 0 if there is none. */
static int receive(int ms)
{
	struct pollfd wait = { .fd = device, .events = POLLIN };
	ssize_t length;

	if (poll(&wait, 1, ms) <= 0)
		return 0;
	length = read(device, message, message_size);
	if (length < 0 && errno == EAGAIN)
		return receive(ms);
	expect(length == message->head.size, "a message says another size than was read");
	return message->head.type;
}

/* Reads up to the next request. */
static void receive_request(void)
{
	int type;

	while ((type = receive(10000)) != DAEDALUS_MSG_DECODE)
		expect(type, "no request comes");
}

/* A session with so many buffers on both sides; those of coded data have SIZE bytes. */
static int start(unsigned int count, unsigned int size)
{
	struct v4l2_requestbuffers buffers = { .count = count, .memory = V4L2_MEMORY_MMAP };
	struct v4l2_format format = { .type = CODED };
	int fd = open(video, O_RDWR | O_NONBLOCK | O_CLOEXEC), type;

	expect(fd >= 0, "a session");
	format.fmt.pix_mp.width = format.fmt.pix_mp.height = 64;
	format.fmt.pix_mp.pixelformat = V4L2_PIX_FMT_VP9_FRAME;
	format.fmt.pix_mp.num_planes = 1;
	format.fmt.pix_mp.plane_fmt[0].sizeimage = size;
	expect(!ioctl(fd, VIDIOC_S_FMT, &format), "the format");
	for (int side = 0; count && side < 2; side++) {
		type = buffers.type = side ? DECODED : CODED;
		expect(!ioctl(fd, VIDIOC_REQBUFS, &buffers) && buffers.count == count, "buffers");
		expect(!ioctl(fd, VIDIOC_STREAMON, &type), "streaming");
	}
	return fd;
}

/* Gives a buffer of one side to the device, for a request if that is not 0, or only prepares it. */
static int give(int fd, int type, unsigned int index, unsigned int bytes, int request, int call)
{
	struct v4l2_plane plane = { .bytesused = bytes };
	struct v4l2_buffer buffer = { .type = type, .index = index, .memory = V4L2_MEMORY_MMAP,
				      .m.planes = &plane, .length = 1 };

	if (request) {
		buffer.flags = V4L2_BUF_FLAG_REQUEST_FD;
		buffer.request_fd = request;
	}
	return ioctl(fd, call, &buffer) ? errno : 0;
}

static int queue(int fd, int type, unsigned int index)
{
	return give(fd, type, index, type == CODED, 0, VIDIOC_QBUF);
}

/* One more buffer for coded data. */
static unsigned int create(int fd, unsigned int size)
{
	struct v4l2_create_buffers buffers = { .count = 1, .memory = V4L2_MEMORY_MMAP,
					       .format.type = CODED };

	expect(!ioctl(fd, VIDIOC_G_FMT, &buffers.format), "the format");
	buffers.format.fmt.pix_mp.plane_fmt[0].sizeimage = size;
	expect(!ioctl(fd, VIDIOC_CREATE_BUFS, &buffers) && buffers.count == 1, "one more buffer");
	return buffers.index;
}

static void large(void)
{
	const unsigned int most = 64 << 20;
	int fd = start(1, 1 << 16), index = create(fd, most + (1 << 16));

	expect(give(fd, CODED, index, most + 1, 0, VIDIOC_QBUF) == EINVAL, "too much is taken");
	expect(!give(fd, CODED, index, most, 0, VIDIOC_QBUF), "what fits is refused");
	expect(!queue(fd, DECODED, 0), "a frame");
	receive_request();
	expect(message->data_size == most, "bytes are missing");
	close(fd);
	printf("%u bytes, and no more\n", most);
}

static void removed(void)
{
	int fd, index;

	become(USER);
	fd = start(0, 1 << 16);
	for (int i = 0; i < 3 * limit; i++) {
		struct remove_buffers which = { .index = create(fd, 1 << 16), .count = 1, .type = CODED };

		index = which.index;
		expect(!give(fd, CODED, index, 1, 0, VIDIOC_PREPARE_BUF), "what was removed still counts");
		expect(!ioctl(fd, REMOVE_BUFS, &which), "removing");
	}
	for (int i = 0; i < limit; i++)
		expect(!give(fd, CODED, create(fd, 1 << 16), 1, 0, VIDIOC_PREPARE_BUF), "a queue that is empty");
	expect(give(fd, CODED, create(fd, 1 << 16), 1, 0, VIDIOC_PREPARE_BUF) == EDQUOT, "no limit");
	printf("%d prepared and removed\n", 3 * limit);
}

/* Takes all back, and starts again. */
static void restart(int fd)
{
	for (int side = 0; side < 2; side++) {
		int type = side ? DECODED : CODED;

		expect(!ioctl(fd, VIDIOC_STREAMOFF, &type) && !ioctl(fd, VIDIOC_STREAMON, &type), "restarting");
	}
}

/* The daemon has done a request that its client has taken back. */
static void done(struct daedalus_complete *complete)
{
	expect(ioctl(device, DAEDALUS_IOC_COMPLETE, complete) && errno == ENOENT, "it was taken back");
}

static void owed(void)
{
	struct daedalus_complete complete[limit];
	int fd, error, taken = 0;

	become(USER);
	fd = start(1, 1 << 16);
	while (!(error = queue(fd, CODED, 0))) {
		expect(taken < limit, "what the daemon has does not count");
		expect(!queue(fd, DECODED, 0), "a frame");
		receive_request();
		complete[taken++] = (struct daedalus_complete){ .session = message->head.session,
								.cookie = message->cookie,
								.status = DAEDALUS_STATUS_FAILED };
		restart(fd);
	}
	expect(error == EDQUOT && taken == limit, "another error, or at another number");
	done(&complete[--taken]);
	expect(!queue(fd, CODED, 0), "what the daemon has done counts");
	close(fd);
	/* The daemon still has what was of that session. */
	fd = start(limit, 1 << 16);
	expect(!queue(fd, CODED, 0), "what the daemon never had counts");
	expect(queue(fd, CODED, 1) == EDQUOT, "what the daemon has does not count without its session");
	while (taken)
		done(&complete[--taken]);
	for (int i = 1; i < limit; i++)
		expect(!queue(fd, CODED, i), "what was of another session counts");
	printf("%d requests taken back\n", limit);
}

/* Completes what it is told of. */
static void *completes(void *argument)
{
	struct daedalus_complete complete;

	while (read(*(int *)argument, &complete, sizeof(complete)) == sizeof(complete))
		ioctl(device, DAEDALUS_IOC_COMPLETE, &complete);
	return argument;
}

static void closing(void)
{
	int ends[2], rounds = 300;
	pthread_t thread;

	become(USER);
	expect(!pipe(ends) && !pthread_create(&thread, NULL, completes, &ends[0]), "a thread");
	for (int i = 0; i < rounds; i++) {
		int fd = start(limit, 1 << 16);

		/* Whatever was of those before has been completed, or soon will be. */
		for (int j = 0, tries = 0; j < limit; j++) {
			int error;

			while ((error = queue(fd, CODED, j)) == EDQUOT) {
				expect(tries++ < 1000, "what was completed while its session ended counts");
				usleep(10000);
			}
			expect(!error && !queue(fd, DECODED, j), "a request");
		}
		for (int j = 0; j < limit; j++) {
			struct daedalus_complete complete = { .status = DAEDALUS_STATUS_FAILED };

			receive_request();
			complete.session = message->head.session;
			complete.cookie = message->cookie;
			expect(write(ends[1], &complete, sizeof(complete)) == sizeof(complete), "a pipe");
		}
		close(fd);
	}
	close(ends[1]);
	pthread_join(thread, NULL);
	printf("%d sessions end while their requests are completed\n", rounds);
}

static void turns(void)
{
	const int sessions = 8, each = 3;
	int fd, read = 0, got = 0;
	uint64_t theirs;

	become(OTHER);
	fd = start(each, 1 << 16);
	expect(!queue(fd, DECODED, 0) && !queue(fd, CODED, 0), "a request");
	receive_request();
	theirs = message->head.session;
	become(0);
	become(USER);
	for (int i = 0; i < sessions; i++) {
		int many = start(each, 1 << 16);

		for (int j = 0; j < each; j++)
			expect(!queue(many, DECODED, j) && !queue(many, CODED, j), "a request");
	}
	/* They were there first. */
	for (int j = 1; j < each; j++)
		expect(!queue(fd, DECODED, j) && !queue(fd, CODED, j), "a request");
	for (; got < each - 1; read++) {
		expect(receive(10000), "a message is missing");
		got += message->head.type == DAEDALUS_MSG_DECODE && message->head.session == theirs;
		expect(read < 2 * each, "one session waits for many");
	}
	printf("%d messages for %d requests beside %d sessions\n", read, got, sessions);
}

static void media_requests(void)
{
	int fd, request = -1, count = 0;

	become(USER);
	fd = open(media, O_RDWR | O_CLOEXEC);
	expect(fd >= 0, "the media device");
	for (int one; count < 100 * limit && !ioctl(fd, MEDIA_IOC_REQUEST_ALLOC, &one); count++)
		request = one;
	expect(errno == ENOMEM && count == 4 * limit, "another error, or at another number");
	close(request);
	expect(!ioctl(fd, MEDIA_IOC_REQUEST_ALLOC, &request), "what was closed counts");
	printf("%d media requests\n", count);
}

static void *opens_and_closes(void *unused)
{
	for (int i = 0; i < 300; i++) {
		int fd = start(1, 1 << 16);

		expect(!queue(fd, DECODED, 0) && !queue(fd, CODED, 0), "a request");
		if (i % 3)
			sched_yield();
		close(fd);
	}
	return unused;
}

static void ends(void)
{
	int type, opened = 0, closed = 0;
	pthread_t client;

	expect(!pthread_create(&client, NULL, opens_and_closes, NULL), "a thread");
	while ((type = receive(2000))) {
		opened += type == DAEDALUS_MSG_OPEN;
		closed += type == DAEDALUS_MSG_CLOSE;
	}
	pthread_join(client, NULL);
	/* Whatever was left when nothing had come for so long. */
	while ((type = receive(0))) {
		opened += type == DAEDALUS_MSG_OPEN;
		closed += type == DAEDALUS_MSG_CLOSE;
	}
	expect(opened > 0 && opened == closed, "a session does not end");
	puts("all sessions end");
}

struct stall {
	int fd;
	void *value;
};

static int set_control(int fd, int request, unsigned int id, void *value, unsigned int size)
{
	struct v4l2_ext_control control = { .id = id, .size = size, .ptr = value };
	struct v4l2_ext_controls all = { .count = 1, .controls = &control };

	if (request) {
		all.which = V4L2_CTRL_WHICH_REQUEST_VAL;
		all.request_fd = request;
	}
	return ioctl(fd, VIDIOC_S_EXT_CTRLS, &all) ? errno : 0;
}

static int set(int fd, int request, void *value)
{
	return set_control(fd, request, V4L2_CID_STATELESS_VP9_FRAME, value,
			   sizeof(struct v4l2_ctrl_vp9_frame));
}

static void *stall(void *argument)
{
	struct stall *stall = argument;

	return (void *)(intptr_t)set(stall->fd, 0, stall->value);
}

/* Memory whose pages do not come before the descriptor is closed. */
static void *missing_page(int *fault)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register region = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*fault = syscall(SYS_userfaultfd, O_CLOEXEC);
	region.range.start = (uintptr_t)page;
	region.range.len = 4096;
	expect(page != MAP_FAILED && *fault >= 0 && !ioctl(*fault, UFFDIO_API, &api) &&
		       !ioctl(*fault, UFFDIO_REGISTER, &region),
	       "userfaultfd");
	return page;
}

static void stalls(void)
{
	static struct v4l2_ctrl_vp9_frame frame = {
		.flags = V4L2_VP9_FRAME_FLAG_KEY_FRAME | V4L2_VP9_FRAME_FLAG_X_SUBSAMPLING |
			 V4L2_VP9_FRAME_FLAG_Y_SUBSAMPLING,
		.frame_width_minus_1 = 63,
		.frame_height_minus_1 = 63,
		.render_width_minus_1 = 63,
		.render_height_minus_1 = 63,
		.bit_depth = 8,
	};
	int fd = start(1, 1 << 16), media_fd = open(media, O_RDWR | O_CLOEXEC), request, empty, fault;
	struct stall what = { .fd = fd, .value = missing_page(&fault) };
	struct uffd_msg event;
	pthread_t thread;
	void *result;

	expect(media_fd >= 0 && !ioctl(media_fd, MEDIA_IOC_REQUEST_ALLOC, &request) &&
		       !ioctl(media_fd, MEDIA_IOC_REQUEST_ALLOC, &empty),
	       "requests");
	expect(!set(fd, request, &frame), "controls of a request");
	expect(!give(fd, CODED, 0, 1, request, VIDIOC_QBUF), "a buffer of a request");
	expect(!queue(fd, DECODED, 0), "a frame");
	expect(!pthread_create(&thread, NULL, stall, &what), "a thread");
	/* Now it waits for its page. */
	expect(read(fault, &event, sizeof(event)) == sizeof(event), "nobody wants the page");
	expect(!ioctl(request, MEDIA_REQUEST_IOC_QUEUE), "a request beside it");
	expect(ioctl(empty, MEDIA_REQUEST_IOC_QUEUE) && errno == ENOENT, "another's request");
	receive_request();
	close(fault);
	pthread_join(thread, &result);
	/* The value is zeros: no frame has them. */
	expect((intptr_t)result == EINVAL, "the value has not been read");
	puts("nobody waits for a page");
}

static void values(void)
{
	const unsigned int id = V4L2_CID_STATELESS_VP9_COMPRESSED_HDR;
	const unsigned int size = sizeof(struct v4l2_ctrl_vp9_compressed_hdr);
	int fd = start(0, 1 << 16), status;
	unsigned char *fresh = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	expect(fresh != MAP_FAILED, "memory");
	expect(!set_control(fd, 0, id, fresh, size), "a value in a page that was never touched");
	expect(!fresh[4096], "zeros");
	expect(!set_control(fd, 0, id, fresh + 4096, size), "a value in a page that was only read");
	child = fork();
	expect(child >= 0, "a child");
	if (!child)
		_exit(0);
	expect(waitpid(child, &status, 0) == child, "the child's end");
	expect(!set_control(fd, 0, id, fresh, size), "a value in a page that was a child's as well");
	expect(set_control(fd, 0, id, NULL, size) == EFAULT, "a value that is nowhere");
	puts("values are taken from pages that nobody has written to");
}

/* Asks for memory, again and again, which takes long there: who has so much waits, but not in the middle of it. */
static void ask_above(const char *group)
{
	const unsigned int size = (1 << 20) - 4096;
	struct v4l2_requestbuffers buffers = { .type = CODED, .memory = V4L2_MEMORY_MMAP };
	char path[4096];
	FILE *members;
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	members = fopen(path, "w");
	expect(members && fputs("0", members) >= 0 && !fclose(members), path);
	fd = start(0, size);
	for (int round = 0; round < 10; round++) {
		buffers.count = round % 2 ? 0 : 64;
		expect(!ioctl(fd, VIDIOC_REQBUFS, &buffers), "buffers");
	}
	_exit(0);
}

static void high(void)
{
	int media_fd = open(media, O_RDWR | O_CLOEXEC), request, status, rounds = 0;
	const char *group = getenv("CGROUP");
	pid_t child, ended;

	expect(group && media_fd >= 0 && !ioctl(media_fd, MEDIA_IOC_REQUEST_ALLOC, &request), "a request");
	child = fork();
	expect(child >= 0, "a child");
	if (!child)
		ask_above(group);
	while (!(ended = waitpid(child, &status, WNOHANG))) {
		/* Looks for a lock that REQBUFS has. */
		expect(ioctl(request, MEDIA_REQUEST_IOC_QUEUE) && errno == ENOENT, "a request of nothing");
		rounds++;
		usleep(1000);
	}
	expect(ended == child && !status && rounds, "the child failed");
	puts("nobody waits for a client above its memory.high");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} scenarios[] = {
		{ "large", large },	    { "removed", removed }, { "owed", owed },	  { "turns", turns },
		{ "media", media_requests }, { "ends", ends },	    { "stalls", stalls },
		{ "values", values },	    { "closing", closing }, { "high", high },
	};

	expect(argc == 5, "usage: accounts VIDEO MEDIA SCENARIO LIMIT");
	video = argv[1];
	media = argv[2];
	limit = atoi(argv[4]);
	attach();
	for (unsigned int i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
		if (!strcmp(argv[3], scenarios[i].name)) {
			scenarios[i].run();
			return 0;
		}
	}
	expect(0, "no such scenario");
	return 1;
}
