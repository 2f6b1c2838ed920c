/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The media device beside itself and the video device:
 *
 *	enumerator VIDEO MEDIA SCENARIO
 *
 * Scenarios:
 *	stalls		the graph is enumerated into pages that do not come, and by somebody else
 *	ends		requests end, or begin anew, while a session ends that they have controls of
 *
 * Prints what it found when all is right; ends with status 1 and says what is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/media.h>
#include <linux/userfaultfd.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE   4096
#define ROUNDS 3000

/* More than the graph has of anything. */
#define OBJECTS 16

static const char *video, *media;

static void expect(bool right, const char *what)
{
	if (right)
		return;
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	expect(fd >= 0, path);
	return fd;
}

/* What one that does not wait for anything says. */
static struct media_v2_topology count(int fd)
{
	struct media_v2_topology topology = {};

	expect(!ioctl(fd, MEDIA_IOC_G_TOPOLOGY, &topology), "MEDIA_IOC_G_TOPOLOGY");
	expect(topology.num_entities == 3 && topology.num_interfaces == 1 && topology.num_pads == 4 &&
		       topology.num_links == 4,
	       "the graph is another");
	return topology;
}

static struct media_links_enum links_of(int fd)
{
	struct media_entity_desc entity = { .id = MEDIA_ENT_ID_FLAG_NEXT };
	struct media_links_enum links = {};

	while (!ioctl(fd, MEDIA_IOC_ENUM_ENTITIES, &entity) && entity.pads != 2)
		entity.id |= MEDIA_ENT_ID_FLAG_NEXT;
	expect(entity.pads == 2 && entity.links == 1, "the decoder is not there");
	links.entity = entity.id;
	return links;
}

struct wait {
	int fd;
	unsigned long request;
	void *argument;
	long result; /* errno, or 0 */
};

static void *wait_for_page(void *argument)
{
	struct wait *wait = argument;

	wait->result = ioctl(wait->fd, wait->request, wait->argument) ? errno : 0;
	return NULL;
}

/* One call into @page, which does not come, and others beside it; then it comes. */
static void stall(int media_fd, unsigned long request, void *argument, void *page, int fault)
{
	struct wait wait = { .fd = media_fd, .request = request, .argument = argument };
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)page, .len = PAGE } };
	struct uffdio_register region = { .mode = UFFDIO_REGISTER_MODE_MISSING,
					  .range = { .start = (uintptr_t)page, .len = PAGE } };
	struct media_pad_desc pads[2];
	struct media_link_desc out[1];
	struct media_links_enum links;
	struct uffd_msg event;
	pthread_t thread;
	int other;

	expect(!madvise(page, PAGE, MADV_DONTNEED) && !ioctl(fault, UFFDIO_REGISTER, &region), "userfaultfd");
	expect(!pthread_create(&thread, NULL, wait_for_page, &wait), "a thread");
	/* Now it waits for its page. */
	expect(read(fault, &event, sizeof(event)) == sizeof(event), "nobody wants the page");
	other = open_node(media);
	count(other);
	links = links_of(other);
	links.pads = pads;
	links.links = out;
	expect(!ioctl(other, MEDIA_IOC_ENUM_LINKS, &links), "MEDIA_IOC_ENUM_LINKS");
	close(other);
	close(open_node(video));
	expect(!ioctl(fault, UFFDIO_ZEROPAGE, &zero), "the page");
	pthread_join(thread, NULL);
	errno = wait.result;
	expect(!wait.result, "into a page that came late");
}

static void stalls(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int media_fd = open_node(media), fault = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct media_v2_topology topology = count(media_fd), all = topology;
	struct media_links_enum links = links_of(media_fd);
	const struct media_v2_entity *entities = page;
	const struct media_v2_link *connections = page;
	const struct media_pad_desc *pads = page;

	expect(page != MAP_FAILED && fault >= 0 && !ioctl(fault, UFFDIO_API, &api), "userfaultfd");
	topology.ptr_entities = (uintptr_t)page;
	topology.num_entities = OBJECTS;
	stall(media_fd, MEDIA_IOC_G_TOPOLOGY, &topology, page, fault);
	expect(topology.num_entities == 3 && entities[2].id && strstr(entities[1].name, "proc"), "entities");

	topology = all;
	topology.ptr_links = (uintptr_t)page;
	stall(media_fd, MEDIA_IOC_G_TOPOLOGY, &topology, page, fault);
	expect(topology.num_links == 4 && connections[3].id, "links");

	links.pads = page;
	stall(media_fd, MEDIA_IOC_ENUM_LINKS, &links, page, fault);
	expect(pads[1].entity == links.entity && pads[1].flags & MEDIA_PAD_FL_SOURCE, "pads");

	/* One request, and not another when the page has come. */
	expect(!madvise(page, PAGE, MADV_DONTNEED) && !close(fault), "an untouched page");
	expect(!ioctl(media_fd, MEDIA_IOC_REQUEST_ALLOC, page), "MEDIA_IOC_REQUEST_ALLOC");
	expect(open_node("/dev/null") == *(int *)page + 1, "more than one request");

	/* What is nowhere is said, and what is too small. */
	links.pads = (void *)16;
	expect(ioctl(media_fd, MEDIA_IOC_ENUM_LINKS, &links) && errno == EFAULT, "pads that are nowhere");
	topology = all;
	topology.ptr_entities = 16;
	expect(ioctl(media_fd, MEDIA_IOC_G_TOPOLOGY, &topology) && errno == EFAULT, "entities that are nowhere");
	topology = all;
	topology.ptr_entities = (uintptr_t)page;
	topology.num_entities = 1;
	expect(ioctl(media_fd, MEDIA_IOC_G_TOPOLOGY, &topology) && errno == ENOSPC, "room for one entity");
	expect(ioctl(media_fd, MEDIA_IOC_G_TOPOLOGY, (void *)16) && errno == EFAULT, "nothing at all");
	puts("nobody waits for a page");
}

static int set(int fd, int request)
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
	struct v4l2_ext_control control = { .id = V4L2_CID_STATELESS_VP9_FRAME,
					    .size = sizeof(frame),
					    .ptr = &frame };
	struct v4l2_ext_controls all = { .which = V4L2_CTRL_WHICH_REQUEST_VAL,
					 .count = 1,
					 .controls = &control,
					 .request_fd = request };

	return ioctl(fd, VIDIOC_S_EXT_CTRLS, &all);
}

static pthread_barrier_t barrier;
static int requests[2];

/* Ends one request, and makes the other anew, until there are none. */
static void *end_requests(void *unused)
{
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&barrier);
		ioctl(requests[1], MEDIA_REQUEST_IOC_REINIT);
		close(requests[0]);
		pthread_barrier_wait(&barrier);
	}
	return unused;
}

static void ends(void)
{
	int media_fd = open_node(media);
	pthread_t thread;

	expect(!pthread_barrier_init(&barrier, NULL, 2), "a barrier");
	expect(!pthread_create(&thread, NULL, end_requests, NULL), "a thread");
	for (int round = 0; round < ROUNDS; round++) {
		int first = open_node(video), second = open_node(video);

		for (int at = 0; at < 2; at++) {
			expect(!ioctl(media_fd, MEDIA_IOC_REQUEST_ALLOC, &requests[at]), "a request");
			expect(!set(first, requests[at]) && !set(second, requests[at]), "controls of a request");
		}
		pthread_barrier_wait(&barrier);
		close(first);
		pthread_barrier_wait(&barrier);
		/* Of use as before, whatever it has lost. */
		expect(!ioctl(requests[1], MEDIA_REQUEST_IOC_REINIT), "MEDIA_REQUEST_IOC_REINIT");
		expect(!set(second, requests[1]), "controls of a request that began anew");
		close(second);
		expect(ioctl(requests[1], MEDIA_REQUEST_IOC_QUEUE) && errno == ENOENT, "a request of nothing");
		close(requests[1]);
	}
	pthread_join(thread, NULL);
	printf("%d sessions end beside their requests\n", ROUNDS);
}

int main(int argc, char **argv)
{
	expect(argc == 4, "usage: enumerator VIDEO MEDIA SCENARIO");
	video = argv[1];
	media = argv[2];
	if (!strcmp(argv[3], "stalls"))
		stalls();
	else if (!strcmp(argv[3], "ends"))
		ends();
	else
		expect(false, "no such scenario");
	return 0;
}
