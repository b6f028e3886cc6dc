/* What the stand-in's programs share: a table of commands and how one is run. */
#ifndef LUSTRE_SIM_CLI_H
#define LUSTRE_SIM_CLI_H

#include "../llapi/sim.h"

/* What a command returns to have its help printed (on standard output); also the exit code then. */
#define CMD_HELP 4

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* 0, CMD_HELP, a positive exit code or -errno */
	const char *help;
};

/* Runs argv[1] from the table; "help", "--list-commands" and "--version" are there always. The exit code. */
int cli_main(int argc, char **argv, const struct command *commands);
extern const char *progname;

int lfs_path2fid(int argc, char **argv);
int lfs_fid2path(int argc, char **argv);
int lfs_getname(int argc, char **argv);
int lfs_df(int argc, char **argv);
int lfs_targets(int argc, char **argv);
int lfs_check(int argc, char **argv);
int lfs_changelog(int argc, char **argv);
int lfs_changelog_clear(int argc, char **argv);
int lfs_data_version(int argc, char **argv);
int lfs_hsm_state(int argc, char **argv);
int lfs_hsm_action(int argc, char **argv);
int lfs_hsm_set(int argc, char **argv);
int lfs_hsm_clear(int argc, char **argv);
int lfs_hsm_archive(int argc, char **argv);
int lfs_hsm_restore(int argc, char **argv);
int lfs_hsm_release(int argc, char **argv);
int lfs_hsm_remove(int argc, char **argv);
int lfs_hsm_cancel(int argc, char **argv);
int lfs_getstripe(int argc, char **argv);
int lfs_setstripe(int argc, char **argv);
int lfs_setdirstripe(int argc, char **argv);
int lfs_getdirstripe(int argc, char **argv);
int lfs_mirror(int argc, char **argv);

int lctl_get_param(int argc, char **argv);
int lctl_set_param(int argc, char **argv);
int lctl_list_param(int argc, char **argv);

/* One row of `df`. */
struct target {
	char name[32], uuid[64];
	unsigned index;
	bool mdt;
	unsigned long long total_kb, used_kb, avail_kb, inodes, iused, ifree;
};

/* The targets of the mount, malloc'ed; their number, or -errno. */
int cli_targets(const struct sim_mount *m, struct target **out);

#endif
