/* The stand-in's lfs: the table of its commands. */
#include <getopt.h>

#include "cli.h"

static const struct command commands[] = {
	{ "setstripe", lfs_setstripe,
	  "Create a file with specified striping/composite layout, or\n"
	  "set the default layout on an existing directory.\n"
	  "Usage: setstripe   [--component-end|-E END_OFFSET] [--layout|-L PATTERN]\n"
	  "\t\t[--pool|-p POOL_NAME] [--stripe-count|-c STRIPE_COUNT]\n"
	  "\t\t[--stripe-index|-i START_OST_IDX] [--stripe-size|-S STRIPE_SIZE]\n"
	  "\t\tFILENAME|DIRECTORY\n" },
	{ "getstripe", lfs_getstripe,
	  "List the layout pattern for a given file or files in a\n"
	  "directory or recursively for all files in a directory tree.\n"
	  "Usage: getstripe [--stripe-count|-c] [--stripe-index|-i] [--pool|-p]\n"
	  "\t\t   [--stripe-size|-S] [--directory|-d] [--layout|-L]\n"
	  "\t\t   [--generation|-g] [--yaml|-y] [--component-count]\n"
	  "\t\t   [--mirror-count|-N] FILENAME|DIRECTORY" },
	{ "mkdir", lfs_setdirstripe,
	  "Create striped directory on specified MDT, same as setdirstripe.\n"
	  "usage: mkdir [--mdt-index|-i INDEX] [--mode|-o MODE] <directory>" },
	{ "setdirstripe", lfs_setdirstripe,
	  "Create striped directory on specified MDT.\n"
	  "usage: setdirstripe [--mdt-index|-i INDEX] [--mode|-o MODE] <directory>" },
	{ "getdirstripe", lfs_getdirstripe,
	  "To list the layout pattern info for a given directory\n"
	  "usage: getdirstripe [--mdt-count|-c] [--mdt-index|-m|-i] <dir> ..." },
	{ "mirror", lfs_mirror, "lfs commands used to manage files with mirrored components:\n"
				"lfs mirror create - create a mirrored file or directory" },
	{ "df", lfs_df,
	  "report filesystem disk space usage or inodes usage of each MDS and all OSDs or a batch belonging to a "
	  "specific pool.\n"
	  "Usage: df [--inodes|-i] [--human-readable|-h] [--lazy|-l]\n"
	  "[--mdt|-m[INDEX]] [--ost|-o[INDEX]] [--output|-u FIELD_LIST] [--no-header|-N]\n"
	  "[--only-summary|-s] [--pool|-p FSNAME[.POOL]] [PATH]" },
	{ "mdts", lfs_targets, "list MDTs connected to client [for specified path only]\nusage: mdts [PATH]" },
	{ "osts", lfs_targets, "list OSTs connected to client [for specified path only]\nusage: osts [PATH]" },
	{ "check", lfs_check,
	  "Display the status of MGTs, MDTs or OSTs (as specified in the command) or all the servers (MGTs, MDTs and "
	  "OSTs).\nusage: check {mgts|mdts|osts|all} [PATH]" },
	{ "getname", lfs_getname,
	  "list instances and specified mount points [for specified path only]\n"
	  "Usage: getname [--help|-h] [--instance|-i] [--fsname|-n] [--uuid|-u]\n"
	  "\t\t [PATH ...]" },
	{ "changelog", lfs_changelog,
	  "Show the metadata changes on an MDT.\n"
	  "usage: changelog [--follow] [--user USERNAME] [--mask MASK] <mdtname> [startrec [endrec]]" },
	{ "changelog_clear", lfs_changelog_clear,
	  "Indicate that old changelog records up to <endrec> are no longer of interest to consumer <id>, allowing "
	  "the system to free up space.\n"
	  "An <endrec> of 0 means all records.\n"
	  "usage: changelog_clear <mdtname> <id> <endrec>" },
	{ "fid2path", lfs_fid2path,
	  "Resolve the full path(s) for given FID(s). For a specific hardlink specify link number <linkno>.\n"
	  "usage: fid2path [--print0|-0] [--print-fid|-f] [--print-link|-c] [--link|-l <linkno>] [--name|-n] "
	  "<fsname|root> <fid>..." },
	{ "path2fid", lfs_path2fid,
	  "Display the fid(s) for a given path(s).\n"
	  "usage: path2fid [--parents] <path> ..." },
	{ "data_version", lfs_data_version,
	  "Display file data version for a given path.\n"
	  "usage: data_version [-n|-r|-w] <path>" },
	{ "hsm_state", lfs_hsm_state, "Display the HSM information for given files.\nusage: hsm_state FILE" },
	{ "hsm_set", lfs_hsm_set,
	  "Set HSM user flag on specified files.\n"
	  "usage: hsm_set [--norelease] [--noarchive] [--dirty] [--exists]\n"
	  "\t\t [--archived] [--lost] [--archive-id NUM] FILE" },
	{ "hsm_clear", lfs_hsm_clear,
	  "Clear HSM user flag on specified files.\n"
	  "usage: hsm_clear [--norelease] [--noarchive] [--dirty] [--exists]\n"
	  "\t\t   [--archived] [--lost] FILE" },
	{ "hsm_action", lfs_hsm_action, "Display current HSM request for given files.\nusage: hsm_action FILE" },
	{ "hsm_archive", lfs_hsm_archive,
	  "Archive file to external storage.\n"
	  "usage: hsm_archive [--filelist FILELIST] [--data DATA]\n"
	  "\t\t     [--archive NUM] FILE" },
	{ "hsm_restore", lfs_hsm_restore,
	  "Restore file from external storage.\n"
	  "usage: hsm_restore [--filelist FILELIST] [--data DATA] FILE" },
	{ "hsm_release", lfs_hsm_release,
	  "Release files from Lustre.\n"
	  "usage: hsm_release [--filelist FILELIST] [--data DATA] FILE" },
	{ "hsm_remove", lfs_hsm_remove,
	  "Remove file copy from external storage.\n"
	  "usage: hsm_remove [--filelist FILELIST] [--data DATA]\n"
	  "\t\t    [--archive NUM]\n"
	  "                  {FILE | --mntpath MOUNTPATH FID}\n\n"
	  "Note: To remove an archived copy of a file already deleted from a Lustre FS, --mntpath option and a list "
	  "of FIDs must be specified" },
	{ "hsm_cancel", lfs_hsm_cancel,
	  "Cancel requests related to specified files.\n"
	  "usage: hsm_cancel [--filelist FILELIST] [--data DATA] FILE" },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	opterr = 0;
	return cli_main(argc, argv, commands);
}
