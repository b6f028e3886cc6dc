/*
 * ioctl(2) as the library's users see it. LL_IOC_HSM_PROGRESS, LL_IOC_HSM_COPY_END and LL_IOC_LOV_SETSTRIPE carry structs longer than their
 * numbers say, and FUSE hands on no more than the number says: a daemon behind FUSE can't see the rest. So a
 * program that reports progress by the ioctl takes `ioctl` from the library's scope (dlsym on its handle), which with
 * the real library is libc's, and here this one. Everything else goes to the kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lov_ea.h"
#include "layout.h"
#include "sim.h"

static int progress(int fd, const void *arg)
{
	struct hsm_progress hp;
	struct sim_mount m;
	struct pfid fid;
	struct pmsg msg;
	int rc = sim_mount_by_fd(fd, &m);

	if (rc == 0 && arg == NULL)
		rc = -EFAULT;
	if (rc < 0)
		return rc;
	memcpy(&hp, arg, sizeof(hp));
	fid = sim_pfid(&hp.hp_fid);
	pmsg_begin(&msg, "ct_progress");
	pmsg_u64(&msg, "cookie", hp.hp_cookie);
	pmsg_fid(&msg, "fid", &fid);
	pmsg_u64(&msg, "off", hp.hp_extent.offset);
	pmsg_u64(&msg, "len", hp.hp_extent.length);
	pmsg_u64(&msg, "flags", hp.hp_flags);
	pmsg_u64(&msg, "errval", hp.hp_errval);
	return sim_call_fd(fd, &msg, NULL);
}

static int copy_end(int fd, const void *arg)
{
	struct hsm_copy copy;
	struct sim_mount m;
	struct pfid fid;
	struct pmsg msg;
	int rc = sim_mount_by_fd(fd, &m);

	if (rc == 0 && arg == NULL)
		rc = -EFAULT;
	if (rc < 0)
		return rc;
	memcpy(&copy, arg, sizeof(copy));
	fid = sim_pfid(&copy.hc_hai.hai_fid);
	pmsg_begin(&msg, "ct_copy_end");
	pmsg_u64(&msg, "cookie", copy.hc_hai.hai_cookie);
	pmsg_u64(&msg, "action", copy.hc_hai.hai_action);
	pmsg_fid(&msg, "fid", &fid);
	pmsg_u64(&msg, "dv", copy.hc_data_version);
	pmsg_u64(&msg, "off", copy.hc_hai.hai_extent.offset);
	pmsg_u64(&msg, "len", copy.hc_hai.hai_extent.length);
	pmsg_u64(&msg, "flags", copy.hc_flags);
	pmsg_u64(&msg, "errval", copy.hc_errval);
	return sim_call_fd(fd, &msg, NULL);
}

/*
 * Stops an agent: the MDTs forget the client, and the channels of the process that is named end after what is in them.
 * A start is left to the library's own registration.
 */
static int ct_stop(int fd, const void *arg)
{
	struct lustre_kernelcomm lk;
	struct pmsg msg;

	if (arg == NULL)
		return -EFAULT;
	memcpy(&lk, arg, sizeof(lk));
	if (lk.lk_group != KUC_GRP_HSM || !(lk.lk_flags & LK_FLG_STOP))
		return -EINVAL;
	pmsg_begin(&msg, "ct_unregister");
	pmsg_u64(&msg, "pid", lk.lk_uid);
	return sim_call_fd(fd, &msg, NULL);
}

/* Gives a file its layout, as llapi_file_open does; FUSE would pass on no more than the 8 bytes that the number tells of. */
static int set_stripe(int fd, const void *arg)
{
	uint32_t magic;
	struct lov_ea lov;
	int rc;

	if (arg == NULL)
		return -EFAULT;
	memcpy(&magic, arg, sizeof(magic));
	if (magic != LOV_USER_MAGIC_V1 && magic != LOV_USER_MAGIC_V3)
		return -EINVAL;
	rc = lov_ea_decode(arg, magic == LOV_USER_MAGIC_V1 ? LOV_USER_MD_V1_SIZE : LOV_USER_MD_V3_SIZE, &lov);
	if (rc == 0)
		rc = sim_set_layout(fd, &lov);
	lov_ea_free(&lov);
	return rc;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int rc;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == LL_IOC_HSM_CT_START) {
		rc = ct_stop(fd, arg);
		if (rc != -ENOTTY) {
			/* the client's side has no errors: servers that could not be told notice by themselves */
			errno = rc == -EINVAL || rc == -EFAULT ? -rc : 0;
			return errno ? -1 : 0;
		}
	}
	if (request == LL_IOC_HSM_PROGRESS || request == LL_IOC_HSM_COPY_END || request == LL_IOC_LOV_SETSTRIPE) {
		rc = request == LL_IOC_HSM_COPY_END ? copy_end(fd, arg) :
		     request == LL_IOC_HSM_PROGRESS ? progress(fd, arg) : set_stripe(fd, arg);
		if (rc != -ENOTTY) {
			errno = -rc;
			return rc < 0 ? -1 : 0;
		}
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}
