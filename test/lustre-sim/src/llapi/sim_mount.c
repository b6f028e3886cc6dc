#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sim.h"

/* Undoes the octal escapes of mountinfo, in place. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s != '\0'; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* One line: id parent maj:min root mountpoint options [optional…] - type source superoptions */
static bool parse_line(char *line, struct sim_mount *m)
{
	unsigned major, minor;
	char *sep = strstr(line, " - "), *type, *source, *save = NULL, *fs, *mnt = NULL;

	if (sep == NULL)
		return false;
	*sep = '\0';
	type = strtok_r(sep + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	if (type == NULL || source == NULL || strcmp(type, SIM_FSTYPE) != 0)
		return false;
	strtok_r(line, " ", &save);
	for (int i = 1; i <= 4; i++) {
		char *word = strtok_r(NULL, " ", &save);

		if (word == NULL)
			return false;
		if (i == 2 && sscanf(word, "%u:%u", &major, &minor) != 2)
			return false;
		if (i == 4)
			mnt = word;
	}
	unescape(source);
	unescape(mnt);
	fs = strstr(source, ":/");
	if (fs == NULL || strlen(mnt) >= sizeof(m->mnt))
		return false;
	fs += 2;
	snprintf(m->fsname, sizeof(m->fsname), "%.*s", (int)strcspn(fs, "/"), fs);
	strcpy(m->mnt, mnt);
	m->dev = makedev(major, minor);
	return true;
}

/* Calls pick for every stand-in mount, in the order of mountinfo, until it returns true. */
static bool each_mount(bool (*pick)(const struct sim_mount *m, void *arg), void *arg)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct sim_mount *m = malloc(sizeof(*m));
	char *line = NULL;
	size_t cap = 0;
	bool done = false;

	while (f != NULL && m != NULL && !done && getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		done = parse_line(line, m) && pick(m, arg);
	}
	free(line);
	free(m);
	if (f != NULL)
		fclose(f);
	return done;
}

struct wanted {
	struct sim_mount *out;
	const char *text, *sock;
	dev_t dev;
	int index;
	size_t best;
	bool found, several;
};

static bool pick_dev(const struct sim_mount *m, void *arg)
{
	struct wanted *w = arg;

	if (m->dev != w->dev)
		return false;
	*w->out = *m;
	return true;
}

int sim_mount_by_dev(dev_t dev, struct sim_mount *m)
{
	struct wanted w = { .out = m, .dev = dev };

	return each_mount(pick_dev, &w) ? 0 : -ENODEV;
}

static bool pick_path(const struct sim_mount *m, void *arg)
{
	struct wanted *w = arg;
	size_t len = strlen(m->mnt);

	if (strncmp(w->text, m->mnt, len) == 0 && (w->text[len] == '\0' || w->text[len] == '/') && len >= w->best) {
		w->best = len;
		w->found = true;
		*w->out = *m;
	}
	return false;
}

int sim_mount_by_path(const char *path, struct sim_mount *m)
{
	struct wanted w = { .out = m, .text = path };

	each_mount(pick_path, &w);
	return w.found ? 0 : -ENODEV;
}

static bool pick_fsname(const struct sim_mount *m, void *arg)
{
	struct wanted *w = arg;
	char sock[PATH_MAX];

	if (w->text != NULL && strcmp(m->fsname, w->text) != 0)
		return false;
	if (!w->found)
		*w->out = *m;
	w->found = true;
	if (w->sock == NULL)
		return true;
	if (sim_mount_socket(m, sock, sizeof(sock)) == 0 && strcmp(sock, w->sock) == 0) {
		*w->out = *m;
		return true;
	}
	return false;
}

/* The socket of the daemon that the environment names, or NULL. */
static const char *chosen_socket(char *buf, size_t size)
{
	const char *dir = getenv("LUSTRE_SIM_DIR");

	if (dir == NULL || *dir == '\0')
		return NULL;
	return snprintf(buf, size, "%s/sock", dir) < (int)size ? buf : NULL;
}

int sim_mount_by_fsname(const char *fsname, struct sim_mount *m)
{
	char sock[PATH_MAX];
	struct wanted w = { .out = m, .text = fsname, .sock = chosen_socket(sock, sizeof(sock)) };

	each_mount(pick_fsname, &w);
	return w.found ? 0 : -ENODEV;
}

static bool pick_index(const struct sim_mount *m, void *arg)
{
	struct wanted *w = arg;
	char sock[PATH_MAX];

	if (w->sock != NULL && (sim_mount_socket(m, sock, sizeof(sock)) < 0 || strcmp(sock, w->sock) != 0))
		return false;
	if (w->index-- > 0)
		return false;
	*w->out = *m;
	return true;
}

int sim_mount_by_index(int index, struct sim_mount *m)
{
	char sock[PATH_MAX];
	struct wanted w = { .out = m, .index = index, .sock = chosen_socket(sock, sizeof(sock)) };

	return index >= 0 && each_mount(pick_index, &w) ? 0 : -ENODEV;
}

/*
 * Mounts that this process has used. One that was taken away with `umount -l` is in no list any more, and its path leads
 * elsewhere; open descriptors still work on it, as on Lustre, where ioctls go by the descriptor.
 */
#define USED_MAX 16

static pthread_mutex_t used_lock = PTHREAD_MUTEX_INITIALIZER;
static struct used {
	struct sim_mount m;
	char sock[108];
} *used[USED_MAX];

static struct used *used_by_dev(dev_t dev)
{
	for (size_t i = 0; i < USED_MAX; i++)
		if (used[i] != NULL && used[i]->m.dev == dev)
			return used[i];
	return NULL;
}

static void remember(const struct sim_mount *m, const char *sock)
{
	struct used *u;

	pthread_mutex_lock(&used_lock);
	u = used_by_dev(m->dev);
	for (size_t i = 0; u == NULL && i < USED_MAX; i++)
		if (used[i] == NULL)
			u = used[i] = calloc(1, sizeof(*u));
	if (u != NULL) {
		u->m = *m;
		snprintf(u->sock, sizeof(u->sock), "%s", sock);
	}
	pthread_mutex_unlock(&used_lock);
}

static bool recall(dev_t dev, struct sim_mount *m, char *sock, size_t size)
{
	struct used *u;

	pthread_mutex_lock(&used_lock);
	u = used_by_dev(dev);
	if (u != NULL && m != NULL)
		*m = u->m;
	if (u != NULL && sock != NULL)
		snprintf(sock, size, "%s", u->sock);
	pthread_mutex_unlock(&used_lock);
	return u != NULL;
}

__attribute__((destructor)) static void forget_used(void)
{
	for (size_t i = 0; i < USED_MAX; i++) {
		free(used[i]);
		used[i] = NULL;
	}
}

int sim_mount_by_fd(int fd, struct sim_mount *m)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return sim_mount_by_dev(st.st_dev, m) == 0 || recall(st.st_dev, m, NULL, 0) ? 0 : -ENOTTY;
}

int sim_mount_socket(const struct sim_mount *m, char *sock, size_t size)
{
	struct stat st;
	ssize_t n;

	if (stat(m->mnt, &st) < 0)
		n = -errno;
	else if (st.st_dev != m->dev)
		n = -ENODEV;
	else if ((n = getxattr(m->mnt, SIM_XATTR_SOCKET, sock, size - 1)) <= 0)
		n = n < 0 ? -errno : -ENODATA;
	if (n < 0)
		return recall(m->dev, NULL, sock, size) ? 0 : (int)n;
	sock[n] = '\0';
	remember(m, sock);
	return 0;
}

static bool pick_socket(const struct sim_mount *m, void *arg)
{
	struct wanted *w = arg;
	char sock[PATH_MAX];

	if (sim_mount_socket(m, sock, sizeof(sock)) < 0)
		return false;
	if (w->found && strcmp(sock, w->sock) != 0)
		w->several = true;
	else
		strcpy((char *)w->sock, sock);
	w->found = true;
	return w->several;
}

int sim_default_socket(char *sock, size_t size)
{
	char found[PATH_MAX];
	struct wanted w = { .sock = found };

	if (chosen_socket(sock, size) != NULL)
		return 0;
	each_mount(pick_socket, &w);
	if (!w.found || w.several || strlen(found) >= size)
		return -ENODEV;
	strcpy(sock, found);
	return 0;
}
