#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *progname;

static const struct command *find(const struct command *c, const char *name)
{
	for (; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static void list(const struct command *c)
{
	int col = 0;

	for (; c->name != NULL; c++, col++)
		printf("%-19s%s", c->name, col % 4 == 3 ? "\n" : " ");
	if (col % 4 != 0)
		printf("\n");
}

static int not_a_command(const char *name)
{
	fprintf(stderr, "%s: '%s' is not a valid command. See '%s --list-commands'.\n", progname, name, progname);
	return 1;
}

static int help(int argc, char **argv, const struct command *commands)
{
	const struct command *c;

	if (argc < 3) {
		printf("usage: %s [COMMAND] [OPTIONS]... [ARGS]\n", progname);
		printf("Without any parameters, interactive mode is invoked\n");
		printf("Try '%s help <COMMAND>', or '%s --list-commands' for a list of commands.\n", progname,
		       progname);
		return 0;
	}
	c = find(commands, argv[2]);
	if (c != NULL)
		fprintf(stderr, "%s: %s\n", argv[2], c->help);
	else
		not_a_command(argv[2]);
	return 0;
}

static int version(void)
{
	char text[64];

	if (llapi_get_version_string(text, sizeof(text)) < 0)
		strcpy(text, "2.17.57"); /* no daemon at hand: the recorded one */
	printf("%s %s\n", progname, text);
	return 0;
}

int cli_main(int argc, char **argv, const struct command *commands)
{
	const struct command *c;
	const char *name = argc > 1 ? argv[1] : "help";
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	progname = program_invocation_short_name;
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0)
		return help(argc, argv, commands);
	if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0)
		return version();
	if (strcmp(name, "--list-commands") == 0 || strcmp(name, "list-commands") == 0) {
		list(commands);
		return 0;
	}
	c = find(commands, name);
	if (c == NULL)
		return not_a_command(name);
	llapi_set_command_name(name);
	rc = c->run(argc - 1, argv + 1);
	if (rc == CMD_HELP)
		printf("%s\n", c->help);
	fflush(stdout);
	return rc < 0 ? -rc : rc;
}
