/* The stand-in's lctl. --device NAME may precede a command. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char *device;

/* ---- changelog users ---- */

/* The MDT that --device names, if this node has it: only a server does. */
static int mdt_of_device(struct sim_conn **out, unsigned *mdt)
{
	const char *node = getenv("LUSTRE_SIM_NODE");
	const char *dash = device != NULL ? strrchr(device, '-') : NULL;
	int rc = sim_get_default(out);
	char *end;

	if (rc < 0)
		return rc;
	if (node != NULL && strcmp(node, "server") == 0 && dash != NULL && strncmp(dash, "-MDT", 4) == 0 &&
	    strncmp(device, (*out)->fsname, (size_t)(dash - device)) == 0 &&
	    strlen((*out)->fsname) == (size_t)(dash - device)) {
		*mdt = (unsigned)strtoul(dash + 4, &end, 16);
		if (end == dash + 8 && *end == '\0' && *mdt < (*out)->mdts)
			return 0;
	}
	sim_put(*out, true);
	return -ENODEV;
}

static int no_device(void)
{
	printf("Reader error: 'Object not found' at 0\n");
	fflush(stdout);
	fprintf(stderr, "No device found for name %s: Invalid argument\n", device);
	return 1;
}

static int changelog_register(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },	 { "mask", required_argument, NULL, 'm' },
		{ "nameonly", no_argument, NULL, 'n' },	 { "user", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	const char *name = "", *mask = "", *user;
	bool name_only = false;
	struct sim_reply r;
	struct sim_conn *c;
	struct pmsg m;
	unsigned mdt;
	int opt, rc;

	if (device == NULL)
		return CMD_HELP;
	while ((opt = getopt_long(argc, argv, "hm:nu:", options, NULL)) != -1) {
		if (opt == 'm')
			mask = optarg;
		else if (opt == 'n')
			name_only = true;
		else if (opt == 'u')
			name = optarg;
		else
			return CMD_HELP;
	}
	if (mdt_of_device(&c, &mdt) < 0)
		return no_device();
	pmsg_begin(&m, "changelog_register");
	pmsg_u64(&m, "mdt", mdt);
	pmsg_str(&m, "name", name);
	pmsg_str(&m, "mask", mask);
	rc = sim_call(c, &m, &r);
	sim_put(c, true);
	user = rc == 0 ? pline_str(&r.l, "user", "") : "";
	if (rc < 0)
		fprintf(stderr, "error: changelog_register: %s\n", rc == -EEXIST ? "User exists" : strerror(-rc));
	else if (name_only)
		printf("%s\n", user);
	else
		printf("%s: Registered changelog userid '%s'\n", device, user);
	sim_reply_free(&r);
	return rc;
}

static int changelog_deregister(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "user", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	const char *user = NULL, *digits, *told;
	struct sim_reply r;
	struct sim_conn *c;
	struct pmsg m;
	unsigned mdt, id = 0;
	int opt, rc;

	if (device == NULL)
		return CMD_HELP;
	while ((opt = getopt_long(argc, argv, "hu:", options, NULL)) != -1) {
		if (opt != 'u')
			return CMD_HELP;
		user = optarg;
	}
	if (user == NULL && optind == argc)
		return CMD_HELP;
	if (user == NULL) {
		user = argv[optind];
		digits = strncmp(user, "cl", 2) == 0 ? user + 2 : user;
		id = (unsigned)strtoul(digits, NULL, 10);
		if (id == 0) {
			fprintf(stderr, "error: %s: expect <ID> or cl<ID>[-name] got '%s'\n", strerror(EINVAL), user);
			return CMD_HELP;
		}
	}
	if (mdt_of_device(&c, &mdt) < 0)
		return no_device();
	pmsg_begin(&m, "changelog_deregister");
	pmsg_u64(&m, "mdt", mdt);
	pmsg_str(&m, "user", user);
	rc = sim_call(c, &m, &r);
	sim_put(c, true);
	if (rc < 0) {
		fprintf(stderr, "error: changelog_deregister: %s\n", rc == -ENOENT ? "User not found" : strerror(-rc));
	} else {
		told = pline_str(&r.l, "user", "");
		if (strncmp(told, "cl", 2) == 0)
			id = (unsigned)strtoul(told + 2, NULL, 10);
		printf("%s: Deregistered changelog user #%u\n", device, id);
	}
	sim_reply_free(&r);
	return rc;
}

/* ---- devices ---- */

static int device_list(int argc, char **argv)
{
	char instance[32];
	struct sim_mount m;
	int n = 0;

	(void)argv;
	if (argc > 2)
		return CMD_HELP;
	for (int i = 0; sim_mount_by_index(i, &m) == 0; i++) {
		struct target *list;
		struct sim_conn *c;
		int count = cli_targets(&m, &list);

		if (count < 0)
			return count;
		if (llapi_get_instance(m.mnt, instance, sizeof(instance)) < 0 || sim_get_mount(&m, &c) < 0) {
			free(list);
			return -EIO;
		}
		printf("%3d UP mgc MGC127.0.0.1@tcp %s 5\n", n++, c->uuid);
		printf("%3d UP lov %s-clilov-%s %s 4\n", n++, m.fsname, instance, c->uuid);
		printf("%3d UP lmv %s-clilmv-%s %s 5\n", n++, m.fsname, instance, c->uuid);
		for (int pass = 0; pass < 2; pass++)
			for (int j = 0; j < count; j++)
				if (list[j].mdt == (pass == 0))
					printf("%3d UP %s %s-%s-%s-%s %s 5\n", n++, pass ? "osc" : "mdc", m.fsname,
					       list[j].name, pass ? "osc" : "mdc", instance, c->uuid);
		sim_put(c, true);
		free(list);
	}
	return 0;
}

static int list_nids(int argc, char **argv)
{
	(void)argv;
	if (argc > 2)
		return CMD_HELP;
	printf("127.0.0.1@tcp\n");
	return 0;
}

static const struct command commands[] = {
	{ "get_param", lctl_get_param,
	  "get the Lustre or LNET parameter\n"
	  "usage: get_param [--classify|-F] [--no-name|-n] [--only-name|-N]\n"
	  "\t\t   [--recursive|-R] PARAM1 [PARAM2 ...]\n"
	  "Get the value of Lustre or LNET parameter from the specified path.\n"
	  "The path can contain shell-style filename patterns.\n" },
	{ "set_param", lctl_set_param,
	  "set the Lustre or LNET parameter\n"
	  "usage: set_param [--no-name|-n] PARAM1=VALUE1 [PARAM2=VALUE2 ...]\n"
	  "Set the value of the Lustre or LNET parameter at the specified path.\n" },
	{ "list_param", lctl_list_param,
	  "list the Lustre or LNET parameter name\n"
	  "usage: list_param [--classify|-F] [--recursive|-R] PARAM1 [PARAM2 ...]\n"
	  "List the name of Lustre or LNet parameter from the specified path.\n" },
	{ "changelog_register", changelog_register,
	  "register a new persistent changelog user, returns id\n"
	  "usage: {--device MDTNAME} changelog_register [--help|-h]\n"
	  "\t\t\t\t\t       [--mask|-m MASK]\n"
	  "\t\t\t\t\t       [--nameonly|-n]\n"
	  "\t\t\t\t\t       [--user|-u USERNAME]" },
	{ "changelog_deregister", changelog_deregister,
	  "deregister an existing changelog user\n"
	  "usage: {--device MDTNAME} changelog_deregister [ID|clID]\n"
	  "\t\t\t\t\t\t [--help|-h]\n"
	  "\t\t\t\t\t\t [--user|-u USERNAME]" },
	{ "dl", device_list, "show all devices\nusage: dl [-t]" },
	{ "device_list", device_list, "show all devices\nusage: device_list [-t]" },
	{ "list_nids", list_nids, "print local NIDs\nusage: list_nids" },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	opterr = 0;
	if (argc > 2 && strcmp(argv[1], "--device") == 0) {
		device = argv[2];
		argv[2] = argv[0];
		argc -= 2;
		argv += 2;
	}
	return cli_main(argc, argv, commands);
}
