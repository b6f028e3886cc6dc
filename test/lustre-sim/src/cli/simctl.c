/*
 * simctl: what tests say to the stand-in itself.
 *
 *   simctl fault [set=SPEC | clear=NAME]    the faults, see FAULTS.md
 *   simctl sim op=OP [key=value …]
 *   simctl grow DIR dirs=N files=N [key=value …]   a tree of N*(N+1) entries in DIR at once, see FAULTS.md
 *   simctl quit
 *   simctl raw 'verb key=value …'           a request line as it is; values are percent-encoded by the caller
 *
 * The daemon is found as PROTOCOL.md says; `--client DIR` names the mount to speak for. Rows and the values of the
 * final ok are printed one a line, decoded. Exit: 0, or the daemon's errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static void print_words(const char *verb, const struct pline *l)
{
	if (strcmp(verb, "ok") != 0)
		printf("%s", verb);
	for (size_t i = 0; i < l->nwords; i++) {
		printf("%s%s=", i > 0 || strcmp(verb, "ok") != 0 ? " " : "", l->words[i].key);
		fwrite(l->words[i].value, 1, l->words[i].len, stdout);
	}
	if (l->nwords > 0 || strcmp(verb, "ok") != 0)
		printf("\n");
}

/* Sends one line and prints what comes until `ok` or `err`. */
static int converse(struct sim_conn *c, const char *text, size_t len)
{
	int rc = psend(c->fd, text, len);

	while (rc == 0) {
		char *line = preader_line(&c->in);
		struct pline l;
		bool last;

		if (line == NULL)
			return -EIO;
		rc = pline_parse(&l, line);
		if (rc < 0)
			return -EPROTO;
		last = strcmp(l.verb, "row") != 0;
		if (strcmp(l.verb, "err") == 0) {
			rc = (int)-pline_i64(&l, "errno", EIO);
			fprintf(stderr, "simctl: %s%s%s\n", strerror(-rc), pline_find(&l, "msg") ? ": " : "",
				pline_str(&l, "msg", ""));
		} else {
			print_words(l.verb, &l);
		}
		pline_free(&l);
		if (last)
			return rc;
	}
	return rc;
}

/* `verb` and the arguments as words, encoded. */
static int request(struct sim_conn *c, const char *verb, int argc, char **argv)
{
	const char *text;
	struct pmsg m;
	int rc;

	pmsg_begin(&m, verb);
	for (int i = 0; i < argc; i++) {
		char *eq = strchr(argv[i], '=');

		if (eq == NULL || eq == argv[i]) {
			fprintf(stderr, "simctl: '%s' is not key=value\n", argv[i]);
			pmsg_free(&m);
			return -EINVAL;
		}
		*eq = '\0';
		pmsg_str(&m, argv[i], eq + 1);
	}
	text = pmsg_end(&m);
	rc = text == NULL ? -E2BIG : converse(c, text, m.len);
	pmsg_free(&m);
	return rc;
}

static int raw(struct sim_conn *c, const char *line)
{
	size_t len = strlen(line);
	char *text = malloc(len + 2);
	int rc;

	if (text == NULL)
		return -ENOMEM;
	memcpy(text, line, len);
	strcpy(text + len, "\n");
	rc = converse(c, text, len + 1);
	free(text);
	return rc;
}

/* DIR key=value … */
static int grow(struct sim_conn *c, int argc, char **argv)
{
	int fd = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	char fid[64], **words;
	struct lu_fid lu;
	struct pfid pf;

	rc = fd < 0 ? -errno : sim_fd_fid(fd, &lu);
	if (fd >= 0)
		close(fd);
	if (rc < 0) {
		fprintf(stderr, "simctl: %s: %s\n", argv[0], strerror(-rc));
		return rc;
	}
	pf = sim_pfid(&lu);
	strcpy(fid, "fid=");
	pfid_format(&pf, fid + 4);
	words = calloc((size_t)argc, sizeof(*words));
	if (words == NULL)
		return -ENOMEM;
	memcpy(words, argv, (size_t)argc * sizeof(*words));
	words[0] = fid;
	rc = request(c, "grow", argc, words);
	free(words);
	return rc;
}

static int usage(void)
{
	fprintf(stderr, "usage: simctl [--client DIR] {fault [set=SPEC|clear=NAME] | sim op=OP [key=value ...] | "
			"grow DIR key=value ... | quit | raw LINE}\n");
	return 4;
}

int main(int argc, char **argv)
{
	const char *client = "", *verb;
	char sock[PATH_MAX];
	struct sim_mount m;
	struct sim_conn *c;
	bool known = true;
	int rc;

	if (argc > 2 && strcmp(argv[1], "--client") == 0) {
		client = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 2)
		return usage();
	verb = argv[1];
	if (*client != '\0') {
		rc = sim_mount_by_path(client, &m);
		if (rc == 0)
			rc = sim_mount_socket(&m, sock, sizeof(sock));
	} else {
		rc = sim_default_socket(sock, sizeof(sock));
	}
	if (rc == 0)
		rc = sim_connect(sock, client, &c);
	if (rc < 0) {
		fprintf(stderr, "simctl: no stand-in to speak to: %s\n", strerror(-rc));
		return 1;
	}
	if (strcmp(verb, "grow") == 0 && argc >= 3)
		rc = grow(c, argc - 2, argv + 2);
	else if (strcmp(verb, "raw") == 0 && argc == 3)
		rc = raw(c, argv[2]);
	else if (strcmp(verb, "fault") == 0 || strcmp(verb, "sim") == 0 || strcmp(verb, "quit") == 0)
		rc = request(c, verb, argc - 2, argv + 2);
	else
		known = false;
	sim_close(c);
	if (!known)
		return usage();
	return rc < 0 ? -rc & 0xff : 0;
}
