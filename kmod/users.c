// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each user has of the device, and may have: nobody is to take it from the others. Who has
 * CAP_SYS_RESOURCE is not limited.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "compat.h"
#include "driver.h"

static unsigned int daedalus_max_sessions = 64;
module_param_named(sessions_per_user, daedalus_max_sessions, uint, 0644);
MODULE_PARM_DESC(sessions_per_user, "how often one user may have the video device open");

static unsigned int daedalus_max_requests = 512;
module_param_named(requests_per_user, daedalus_max_requests, uint, 0644);
MODULE_PARM_DESC(requests_per_user,
		 "coded buffers that one user may have queued, or taken back unfinished");

/* Media requests for each of these, most of them idle: each has a copy of all controls. */
#define DAEDALUS_MEDIA_REQUESTS 4

static unsigned int daedalus_max_memory;
module_param_named(memory_per_user, daedalus_max_memory, uint, 0644);
MODULE_PARM_DESC(memory_per_user,
		 "MiB of buffers that one user may have; a quarter of all memory unless given");

void daedalus_init_users(struct daedalus_device *dev)
{
	mutex_init(&dev->users_lock);
	INIT_LIST_HEAD(&dev->users);
	if (!daedalus_max_memory)
		daedalus_max_memory = totalram_pages() >> (20 - PAGE_SHIFT) >> 2;
}

/* Takes *spare for somebody new: the daemon waits for users_lock, so nothing is allocated there. */
static struct daedalus_user *daedalus_find_user(struct daedalus_device *dev, kuid_t uid,
						struct daedalus_user **spare)
{
	struct daedalus_user *user;

	list_for_each_entry(user, &dev->users, list)
		if (uid_eq(user->uid, uid))
			return user;
	user = *spare;
	*spare = NULL;
	if (user) {
		user->uid = uid;
		user->dev = dev;
		list_add(&user->list, &dev->users);
		atomic_inc(&dev->statistics.users);
	}
	return user;
}

/* Forgets somebody who has nothing. Called with users_lock held. */
static void daedalus_drop_user(struct daedalus_user *user)
{
	if (user->references)
		return;
	list_del(&user->list);
	atomic_dec(&user->dev->statistics.users);
	kfree(user);
}

static void daedalus_put_user(struct daedalus_user *user)
{
	struct daedalus_device *dev = user->dev;

	mutex_lock(&dev->users_lock);
	user->references--;
	daedalus_drop_user(user);
	mutex_unlock(&dev->users_lock);
}

/* A session of the calling process begins. */
int daedalus_join_user(struct daedalus_context *ctx)
{
	struct daedalus_device *dev = ctx->dev;
	struct daedalus_user *spare = kzalloc_obj(*spare);
	struct daedalus_user *user;
	int ret = 0;

	mutex_lock(&dev->users_lock);
	user = daedalus_find_user(dev, ctx->uid, &spare);
	if (!user) {
		ret = -ENOMEM;
	} else if (user->sessions >= READ_ONCE(daedalus_max_sessions) &&
		   !capable(CAP_SYS_RESOURCE)) {
		daedalus_drop_user(user);
		ret = -EMFILE;
	} else {
		user->references++;
		user->sessions++;
		ctx->user = user;
	}
	mutex_unlock(&dev->users_lock);
	kfree(spare);
	return ret;
}

/* The session is over; its context may be needed a little longer. */
void daedalus_end_session(struct daedalus_context *ctx)
{
	mutex_lock(&ctx->dev->users_lock);
	ctx->user->sessions--;
	mutex_unlock(&ctx->dev->users_lock);
}

/* The context goes. */
void daedalus_leave_user(struct daedalus_context *ctx)
{
	if (ctx->user)
		daedalus_put_user(ctx->user);
}

/* The calling process wants a media request. Its user, or NULL if that is one too many. */
struct daedalus_user *daedalus_join_media(struct daedalus_device *dev)
{
	u64 limit = (u64)READ_ONCE(daedalus_max_requests) * DAEDALUS_MEDIA_REQUESTS;
	struct daedalus_user *spare = kzalloc_obj(*spare);
	struct daedalus_user *user;

	mutex_lock(&dev->users_lock);
	user = daedalus_find_user(dev, current_uid(), &spare);
	if (user && user->media_requests >= limit && !capable(CAP_SYS_RESOURCE)) {
		daedalus_drop_user(user);
		user = NULL;
	}
	if (user) {
		user->references++;
		user->media_requests++;
	}
	mutex_unlock(&dev->users_lock);
	kfree(spare);
	return user;
}

void daedalus_leave_media(struct daedalus_user *user)
{
	struct daedalus_device *dev = user->dev;

	mutex_lock(&dev->users_lock);
	user->media_requests--;
	user->references--;
	daedalus_drop_user(user);
	mutex_unlock(&dev->users_lock);
}

/*
 * A coded buffer is about to be queued, with so many bytes, which are copied. It counts until
 * its client has it back and the daemon has done with it: who takes requests back and makes
 * others could otherwise fill the daemon, which decodes them all.
 */
struct daedalus_charge *daedalus_charge_request(struct daedalus_context *ctx, unsigned long size)
{
	struct daedalus_charge *charge = kzalloc_obj(*charge);
	int ret = -EDQUOT;

	if (!charge)
		return ERR_PTR(-ENOMEM);
	if (atomic_inc_return(&ctx->user->requests) > READ_ONCE(daedalus_max_requests) &&
	    !capable(CAP_SYS_RESOURCE))
		goto uncharge;
	ret = daedalus_charge_memory(ctx->user, size);
	if (ret)
		goto uncharge;
	charge->user = ctx->user;
	charge->size = size;
	return charge;

uncharge:
	atomic_dec(&ctx->user->requests);
	kfree(charge);
	return ERR_PTR(ret);
}

void daedalus_uncharge_request(struct daedalus_charge *charge)
{
	if (!charge)
		return;
	atomic_dec(&charge->user->requests);
	daedalus_uncharge_memory(charge->user, charge->size);
	kfree(charge);
}

/* Memory is about to be allocated; others' (DMABUF) is their makers' affair. */
int daedalus_charge_memory(struct daedalus_user *user, unsigned long size)
{
	s64 limit = (s64)READ_ONCE(daedalus_max_memory) << 20;

	if (atomic64_add_return(size, &user->bytes) > limit && !capable(CAP_SYS_RESOURCE)) {
		atomic64_sub(size, &user->bytes);
		return -ENOMEM;
	}
	mutex_lock(&user->dev->users_lock);
	user->references++;
	mutex_unlock(&user->dev->users_lock);
	return 0;
}

/* And is free again, maybe long after the session. */
void daedalus_uncharge_memory(struct daedalus_user *user, unsigned long size)
{
	atomic64_sub(size, &user->bytes);
	daedalus_put_user(user);
}
