/*
 * A liblustreapi without Lustre behind it, to see what the helper does with odd answers. The 'file system' is a plain
 * directory: `.lustre/fid/<FID>` are hard links, `.fake/` holds what to answer (one number in a file named after the
 * function; no file: 0) and `.fake/log`, a line for every call. Actions come as datagrams of raw action lists to the
 * socket `.fake/channel`; an empty one ends the channel. `.fake/changelog` holds records, each after its length (4 bytes);
 * its last index is in `.fake/cl_last`, and the place of its only user, cl1, in `.fake/cl_user`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../src/lustre_abi.h"

struct hsm_copytool_private {
	int fd;
	char message[65536];
};

struct hsm_copyaction_private {
	struct hsm_action_item hai;
	int fd;
};

#define FUNCTION(name) name##_fn name
FUNCTION(llapi_get_version_string);
FUNCTION(llapi_search_fsname);
FUNCTION(llapi_path2fid);
FUNCTION(llapi_fid2path);
FUNCTION(llapi_fid2path_at);
FUNCTION(llapi_get_data_version);
FUNCTION(llapi_hsm_state_get_fd);
FUNCTION(llapi_hsm_state_set_fd);
FUNCTION(llapi_hsm_current_action);
FUNCTION(llapi_hsm_copytool_register);
FUNCTION(llapi_hsm_copytool_unregister);
FUNCTION(llapi_hsm_copytool_get_fd);
FUNCTION(llapi_hsm_copytool_recv);
FUNCTION(llapi_hsm_action_begin);
FUNCTION(llapi_hsm_action_end);
FUNCTION(llapi_hsm_action_get_dfid);
FUNCTION(llapi_hsm_action_get_fd);
FUNCTION(llapi_changelog_start);
FUNCTION(llapi_changelog_fini);
FUNCTION(llapi_changelog_recv);
FUNCTION(llapi_changelog_in_buf);
FUNCTION(llapi_changelog_free);
FUNCTION(llapi_changelog_get_fd);
FUNCTION(llapi_changelog_set_xflags);
FUNCTION(llapi_changelog_clear);

static char root[4096];

static void text_file(const char *name, char *out, size_t size)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/.fake/%s", root, name);
	memset(out, 0, size);

	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, out, size - 1) < 0)
			out[0] = '\0';
		close(fd);
	}
	out[strcspn(out, "\n")] = '\0';
}

static int answer(const char *name)
{
	char text[32];

	text_file(name, text, sizeof(text));
	return atoi(text);
}

/* So many seconds, or until the file with their number is gone. */
static void linger(const char *name)
{
	for (int left = 20 * answer(name); left > 0 && answer(name) > 0; left--)
		usleep(50000);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char path[8192], line[512];
	va_list ap;

	snprintf(path, sizeof(path), "%s/.fake/log", root);
	va_start(ap, format);

	int len = vsnprintf(line, sizeof(line), format, ap), fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	va_end(ap);
	if (fd >= 0) {
		if (write(fd, line, (size_t)len) < 0)
			perror("log");
		close(fd);
	}
}

static const char *fid_name(const struct lu_fid *fid, char out[64])
{
	snprintf(out, 64, "0x%llx:0x%x:0x%x", (unsigned long long)fid->f_seq, fid->f_oid, fid->f_ver);
	return out;
}

int llapi_get_version_string(char *version, unsigned int size)
{
	text_file("version", version, size);
	if (version[0] == '\0')
		snprintf(version, size, "2.15.4");
	return 0;
}

int llapi_search_fsname(const char *pathname, char *fsname)
{
	char fake[8192];

	snprintf(fake, sizeof(fake), "%s/.fake", pathname);
	if (access(fake, F_OK) < 0)
		return -ENODEV;
	snprintf(root, sizeof(root), "%s", pathname);
	strcpy(fsname, "fakefs");
	return 0;
}

int llapi_path2fid(const char *path, struct lu_fid *fid)
{
	return lgetxattr(path, "trusted.fake_fid", fid, sizeof(*fid)) == sizeof(*fid) ? 0 : -errno;
}

/* Names of a file: its xattr trusted.fake_paths, separated by newlines. */
int llapi_fid2path_at(int mnt_fd, const struct lu_fid *fid, char *path, int pathlen, long long *recno, int *linkno)
{
	char file[8192], name[64], all[4096] = "", *line = all;

	(void)mnt_fd;
	(void)recno;
	snprintf(file, sizeof(file), "%s/.lustre/fid/%s", root, fid_name(fid, name));
	if (lgetxattr(file, "trusted.fake_paths", all, sizeof(all) - 1) < 0)
		return -ENOENT;
	for (int i = 0; i < *linkno && line; i++)
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL;
	if (!line)
		return -ENOENT;

	char *end = strchr(line, '\n');

	if (end) {
		*end = '\0';
		++*linkno;
	}
	snprintf(path, (size_t)pathlen, "%s", line);
	return 0;
}

int llapi_fid2path(const char *device, const char *fidstr, char *path, int pathlen, long long *recno, int *linkno)
{
	(void)device, (void)fidstr, (void)path, (void)pathlen, (void)recno, (void)linkno;
	return -ENOSYS;
}

int llapi_get_data_version(int fd, uint64_t *data_version, uint64_t flags)
{
	*data_version = 77 + flags;
	return fd < 0 ? -EBADF : answer("data_version");
}

/* Of a file whose archive ends (`archive_ends`) once anything of it was asked for: whether that was before. */
static bool archive_ended(void)
{
	static atomic_bool ended;

	return atomic_exchange(&ended, true);
}

int llapi_hsm_state_get_fd(int fd, struct hsm_user_state *hus)
{
	bool archived = answer("archive_ends") == 0 || archive_ended();

	hus->hus_states = archived ? 9 : 0;
	hus->hus_archive_id = archived ? 1 : 0;
	return fd < 0 ? -EBADF : answer("state_get");
}

int llapi_hsm_state_set_fd(int fd, uint64_t setmask, uint64_t clearmask, uint32_t archive_id)
{
	say("state_set %d %llu %llu %u\n", fd >= 0, (unsigned long long)setmask, (unsigned long long)clearmask, archive_id);
	return answer("state_set");
}

int llapi_hsm_current_action(const char *path, struct hsm_current_action *hca)
{
	if (access(path, F_OK) < 0)
		return -errno;
	if (answer("archive_ends") != 0) {
		if (!archive_ended()) {
			hca->hca_state = HPS_RUNNING;
			hca->hca_action = HUA_ARCHIVE;
		}
		return 0;
	}
	hca->hca_state = HPS_RUNNING;
	hca->hca_action = HUA_RESTORE;
	hca->hca_location.length = 1000;
	return 0;
}

int llapi_hsm_copytool_register(struct hsm_copytool_private **priv, const char *mnt, int archive_count, int *archives,
				int rfd_flags)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int rc = answer("register");

	say("register %s %d %d %d\n", mnt, archive_count, archive_count ? archives[0] : 0, rfd_flags == O_NONBLOCK);
	if (rc < 0)
		return rc;
	*priv = calloc(1, sizeof(**priv));
	(*priv)->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/.fake/channel", root);
	unlink(address.sun_path);
	return bind((*priv)->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int llapi_hsm_copytool_unregister(struct hsm_copytool_private **priv)
{
	say("unregister\n");
	close((*priv)->fd);
	free(*priv);
	*priv = NULL;
	return 0;
}

int llapi_hsm_copytool_get_fd(struct hsm_copytool_private *ct)
{
	return ct->fd;
}

int llapi_hsm_copytool_recv(struct hsm_copytool_private *ct, struct hsm_action_list **hal, int *size)
{
	ssize_t n = recv(ct->fd, ct->message, sizeof(ct->message), MSG_DONTWAIT);

	*hal = NULL;
	*size = 0;
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ESHUTDOWN;
	*hal = (struct hsm_action_list *)(void *)ct->message;
	*size = (int)n;
	return 0;
}

int llapi_hsm_action_begin(struct hsm_copyaction_private **phcp, const struct hsm_copytool_private *ct,
			   const struct hsm_action_item *hai, int mdt, int open_flags, bool is_error)
{
	char file[8192], name[64];
	struct hsm_copyaction_private *hcp;
	struct lu_fid fid = hai->hai_fid;
	int rc = answer("begin");

	say("begin %u %s %llu mdt=%d flags=%d error=%d ct=%d\n", hai->hai_action, fid_name(&fid, name),
	    (unsigned long long)hai->hai_cookie, mdt, open_flags, is_error, ct != NULL);
	linger("begin_sleep");
	if (rc < 0)
		return rc;
	hcp = calloc(1, sizeof(*hcp));
	hcp->hai = *hai;
	hcp->fd = -1;
	snprintf(file, sizeof(file), "%s/.lustre/fid/%s", root, fid_name(&fid, name));
	if (!is_error && hai->hai_action == HSMA_ARCHIVE)
		hcp->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (!is_error && hai->hai_action == HSMA_RESTORE) {
		struct lu_fid volatile_fid = { 0x200000bd1, fid.f_oid, 0 };

		hcp->hai.hai_dfid = volatile_fid;
		snprintf(file, sizeof(file), "%s/.lustre/fid/%s", root, fid_name(&volatile_fid, name));
		hcp->fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	}
	*phcp = hcp;
	return 0;
}

int llapi_hsm_action_end(struct hsm_copyaction_private **phcp, const struct hsm_extent *he, int flags, int errval)
{
	struct hsm_copyaction_private *hcp = *phcp;

	say("end %llu %llu+%llu flags=%d errval=%d\n", (unsigned long long)hcp->hai.hai_cookie,
	    (unsigned long long)he->offset, (unsigned long long)he->length, flags, errval);
	if (hcp->fd >= 0)
		close(hcp->fd);
	free(hcp);
	*phcp = NULL;
	linger("end_sleep");
	return answer("end");
}

int llapi_hsm_action_get_dfid(const struct hsm_copyaction_private *hcp, struct lu_fid *fid)
{
	*fid = hcp->hai.hai_dfid;
	return hcp->hai.hai_action == HSMA_REMOVE ? -EINVAL : 0;
}

int llapi_hsm_action_get_fd(const struct hsm_copyaction_private *hcp)
{
	return hcp->fd < 0 ? -EINVAL : fcntl(hcp->fd, F_DUPFD_CLOEXEC, 0);
}

/* Two metadata servers: the files of sequences from 0x240000000 on are on the second, which `mdt1_sleep` makes hang. */
static int mdt_of(uint64_t sequence)
{
	return sequence >= 0x240000000;
}

FUNCTION(llapi_obd_statfs);
FUNCTION(llapi_get_mdt_index_by_fid);

int llapi_obd_statfs(char *path, uint32_t type, uint32_t index, void *stat_buf, void *uuid_buf)
{
	(void)stat_buf, (void)uuid_buf;
	say("statfs %s %u %u\n", path, type, index);
	if (index == 1)
		linger("mdt1_sleep");
	return index > 1 ? -ENODEV : index == 1 ? answer("mdt1") : 0;
}

int llapi_get_mdt_index_by_fid(int fd, const struct lu_fid *fid, int *mdt_index)
{
	(void)fd;
	*mdt_index = mdt_of(fid->f_seq);
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;

	va_start(ap, request);

	void *arg = va_arg(ap, void *);

	va_end(ap);
	if (request == LL_IOC_HSM_COPY_END) {
		struct hsm_copy copy;
		char fid[64];
		int copy_rc = answer("copy_end");

		memcpy(&copy, arg, sizeof(copy));

		struct lu_fid own = copy.hc_hai.hai_fid;

		say("copy_end %s %llu %llu+%llu flags=%u errval=%u dv=%llu\n", fid_name(&own, fid),
		    (unsigned long long)copy.hc_hai.hai_cookie, (unsigned long long)copy.hc_hai.hai_extent.offset,
		    (unsigned long long)copy.hc_hai.hai_extent.length, copy.hc_flags, copy.hc_errval,
		    (unsigned long long)copy.hc_data_version);
		errno = -copy_rc;
		return copy_rc < 0 ? -1 : 0;
	}
	if (request == LL_IOC_LOV_SETSTRIPE) {
		struct lov_user_md lum = { 0 };
		int rc = answer("setstripe");

		memcpy(&lum, arg, LOV_USER_MD_V1_SIZE);
		if (lum.lmm_magic == LOV_USER_MAGIC_V3)
			memcpy(&lum, arg, LOV_USER_MD_V3_SIZE);
		say("setstripe %#x %#x count=%u offset=%u pool=%s\n", lum.lmm_magic, lum.lmm_pattern, lum.lmm_stripe_count,
		    lum.lmm_stripe_offset, lum.lmm_pool_name);
		errno = -rc;
		return rc < 0 ? -1 : fsetxattr(fd, "trusted.lov", &lum, LOV_USER_MD_V1_SIZE, 0);
	}
	if (request == LL_IOC_HSM_IMPORT) {
		struct hsm_user_import i;
		int rc = answer("import");

		memcpy(&i, arg, sizeof(i));
		say("import size=%llu %lld.%u %lld.%u %u:%u mode=%o archive=%u\n", (unsigned long long)i.hui_size,
		    (long long)i.hui_atime, i.hui_atime_ns, (long long)i.hui_mtime, i.hui_mtime_ns, i.hui_uid, i.hui_gid, i.hui_mode,
		    i.hui_archive_id);
		errno = -rc;
		return rc < 0 ? -1 : 0;
	}
	if (request == LL_IOC_HSM_CT_START) {
		struct lustre_kernelcomm stop;

		memcpy(&stop, arg, sizeof(stop));
		say("ct_start uid=%u group=%u flags=%u\n", stop.lk_uid == (uint32_t)getpid() ? 1 : stop.lk_uid, stop.lk_group,
		    stop.lk_flags);
		if (stop.lk_uid == (uint32_t)getpid()) {
			/* the kernel ends the channel */
			struct sockaddr_un address = { .sun_family = AF_UNIX };
			int end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

			snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/.fake/channel", root);
			sendto(end, "", 0, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof(address));
			close(end);
		}
		return 0;
	}
	if (request != LL_IOC_HSM_PROGRESS)
		return (int)syscall(SYS_ioctl, fd, request, arg);

	struct hsm_progress p;
	struct stat st;
	char name[64];
	int rc = answer("progress");

	memcpy(&p, arg, sizeof(p));
	say("progress %d %s %llu %llu+%llu flags=%u errval=%u\n", fstat(fd, &st) == 0 && S_ISDIR(st.st_mode),
	    fid_name(&p.hp_fid, name), (unsigned long long)p.hp_cookie, (unsigned long long)p.hp_extent.offset,
	    (unsigned long long)p.hp_extent.length, p.hp_flags, p.hp_errval);
	if (p.hp_flags)
		linger("end_sleep");
	if (mdt_of(p.hp_fid.f_seq) == 1)
		linger("mdt1_sleep");
	if (rc < 0) {
		errno = -rc;
		return -1;
	}
	return 0;
}

/* The records of the file, from an index on. They are handed out in memory of exactly their size. */
struct changelog_reader {
	char *data;
	size_t size, at;
	int fd;
};

int llapi_changelog_start(void **priv, unsigned flags, const char *mdtname, long long startrec)
{
	char path[8192];
	struct changelog_reader *r;
	struct stat st;
	int fd, rc = answer("llapi_changelog_start");

	say("start %s %u %lld\n", mdtname, flags, startrec);
	if (rc < 0)
		return rc;
	r = calloc(1, sizeof(*r));
	r->fd = open("/dev/zero", O_RDONLY | O_CLOEXEC); /* always readable */
	snprintf(path, sizeof(path), "%s/.fake/changelog", root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		r->data = malloc((size_t)st.st_size + 1);
		r->size = (size_t)read(fd, r->data, (size_t)st.st_size);
		close(fd);
	}
	while (r->at < r->size) {
		struct changelog_rec head;
		uint32_t len;

		memcpy(&len, r->data + r->at, 4);
		memcpy(&head, r->data + r->at + 4, sizeof(head));
		if ((long long)head.cr_index >= startrec)
			break;
		r->at += 4 + len;
	}
	*priv = r;
	return 0;
}

int llapi_changelog_set_xflags(void *priv, unsigned extra_flags)
{
	(void)priv;
	say("xflags %u\n", extra_flags);
	return 0;
}

int llapi_changelog_fini(void **priv)
{
	struct changelog_reader *r = *priv;

	close(r->fd);
	free(r->data);
	free(r);
	*priv = NULL;
	return 0;
}

int llapi_changelog_in_buf(void *priv)
{
	struct changelog_reader *r = priv;

	return r->at < r->size;
}

int llapi_changelog_get_fd(void *priv)
{
	return ((struct changelog_reader *)priv)->fd;
}

int llapi_changelog_recv(void *priv, struct changelog_rec **rec)
{
	struct changelog_reader *r = priv;
	uint32_t len;
	int rc = answer("llapi_changelog_recv");

	if (rc < 0)
		return rc;
	if (r->at >= r->size)
		return 1;
	memcpy(&len, r->data + r->at, 4);
	*rec = malloc(len);
	memcpy(*rec, r->data + r->at + 4, len);
	r->at += 4 + len;
	return 0;
}

int llapi_changelog_free(struct changelog_rec **rec)
{
	free(*rec);
	*rec = NULL;
	return 0;
}

int llapi_changelog_clear(const char *mdtname, const char *user, long long endrec)
{
	int rc = answer("llapi_changelog_clear");

	say("clear %s %s %lld\n", mdtname, user, endrec);
	if (rc < 0)
		return rc;
	if (endrec > answer("cl_last"))
		return -EINVAL;
	if (strcmp(user, "cl1") != 0 || answer("cl_gone"))
		return -ENOENT;
	return endrec < answer("cl_user") ? (answer("cl_below") ? answer("cl_below") : -ENOENT) : 0;
}
