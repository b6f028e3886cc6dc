#!/bin/sh
# Compares src/lustre_abi.h with the headers of a real Lustre: sizes, offsets, numbers, signatures.
#
#   ./abi-check.sh DIR    a source checkout of lustre-release, or an include directory (/usr/include) of the client's
#                         development package
#
# Prints 'same' and ends with 0, or says what differs. Not part of the tests: it needs Lustre's headers.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: abi-check.sh DIR}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

includes=
for d in "$dir" "$dir/include" "$dir/lustre/include" "$dir/include/uapi" "$dir/lustre/include/uapi" \
	 "$dir/lnet/include/uapi" "$dir/libcfs/include" "$dir/libcfs/include/uapi"; do
	[ -d "$d" ] && includes="$includes -isystem $d"
done

# What we declare, as tables of numbers made with our header ...
cat > "$work/facts.h" <<'EOF'
#define SIZE(s) { "sizeof " #s, sizeof(struct s) }
#define AT(s, m) { #s "." #m, offsetof(struct s, m) }
#define VALUE(v) { #v, (unsigned long long)(unsigned int)(v) }
static const struct { const char *name; unsigned long long value; } facts[] = {
	SIZE(lu_fid), AT(lu_fid, f_oid), AT(lu_fid, f_ver), SIZE(hsm_extent), AT(hsm_extent, length),
	SIZE(hsm_action_item), AT(hsm_action_item, hai_action), AT(hsm_action_item, hai_fid),
	AT(hsm_action_item, hai_dfid), AT(hsm_action_item, hai_extent), AT(hsm_action_item, hai_cookie),
	AT(hsm_action_item, hai_gid), SIZE(hsm_action_list), AT(hsm_action_list, hal_count),
	AT(hsm_action_list, hal_flags), AT(hsm_action_list, hal_archive_id), VALUE(HAL_VERSION),
	SIZE(hsm_progress), AT(hsm_progress, hp_cookie), AT(hsm_progress, hp_extent), AT(hsm_progress, hp_flags),
	AT(hsm_progress, hp_errval), VALUE(LL_IOC_HSM_PROGRESS), SIZE(lustre_kernelcomm), AT(lustre_kernelcomm, lk_uid),
	AT(lustre_kernelcomm, lk_group), AT(lustre_kernelcomm, lk_data_count), AT(lustre_kernelcomm, lk_flags),
	VALUE(KUC_GRP_HSM), VALUE(LK_FLG_STOP), VALUE(LL_IOC_HSM_CT_START), SIZE(hsm_copy), AT(hsm_copy, hc_flags),
	AT(hsm_copy, hc_errval), AT(hsm_copy, hc_hai), VALUE(LL_IOC_HSM_COPY_END), VALUE(HP_FLAG_COMPLETED), VALUE(HP_FLAG_RETRY),
	SIZE(hsm_user_import), AT(hsm_user_import, hui_mtime_ns), AT(hsm_user_import, hui_uid), AT(hsm_user_import, hui_mode),
	AT(hsm_user_import, hui_archive_id), VALUE(LL_IOC_HSM_IMPORT), VALUE(LL_IOC_LOV_SETSTRIPE),
	SIZE(hsm_user_state), AT(hsm_user_state, hus_archive_id), AT(hsm_user_state, hus_in_progress_location),
	SIZE(hsm_current_action), AT(hsm_current_action, hca_action), AT(hsm_current_action, hca_location),
	VALUE(HPS_NONE), VALUE(HPS_WAITING), VALUE(HPS_RUNNING), VALUE(HPS_DONE),
	VALUE(HUA_NONE), VALUE(HUA_ARCHIVE), VALUE(HUA_RESTORE), VALUE(HUA_REMOVE), VALUE(HUA_CANCEL),
	VALUE(HSMA_NONE), VALUE(HSMA_ARCHIVE), VALUE(HSMA_RESTORE), VALUE(HSMA_REMOVE), VALUE(HSMA_CANCEL),
	VALUE(LL_DV_RD_FLUSH), VALUE(O_LOV_DELAY_CREATE & 0x3fffff),
	VALUE(LOV_USER_MAGIC_V1), VALUE(LOV_USER_MAGIC_V3), VALUE(LOV_USER_MAGIC_COMP_V1), VALUE(LOV_PATTERN_RAID0),
	VALUE(LOV_PATTERN_MDT), VALUE(LOV_PATTERN_F_RELEASED), VALUE(LOV_MAXPOOLNAME),
	SIZE(lov_comp_md_v1), AT(lov_comp_md_v1, lcm_size), AT(lov_comp_md_v1, lcm_entry_count),
	AT(lov_comp_md_v1, lcm_mirror_count), SIZE(lov_comp_md_entry_v1), AT(lov_comp_md_entry_v1, lcme_flags),
	AT(lov_comp_md_entry_v1, lcme_offset), AT(lov_comp_md_entry_v1, lcme_size),
	AT(lov_user_ost_data_v1, l_ost_idx), SIZE(lov_user_ost_data_v1), SIZE(changelog_rec), AT(changelog_rec, cr_flags), AT(changelog_rec, cr_type), AT(changelog_rec, cr_index),
	AT(changelog_rec, cr_time), AT(changelog_rec, cr_tfid), AT(changelog_rec, cr_pfid), VALUE(CL_MARK), VALUE(CL_RENAME),
	VALUE(CL_SETXATTR), VALUE(CLF_FLAGMASK), VALUE(CLF_VERSION), VALUE(CLF_RENAME), VALUE(CLF_JOBID), VALUE(CLF_EXTRA_FLAGS),
	VALUE(CLFE_UIDGID), VALUE(CLFE_NID), VALUE(CLFE_OPEN), VALUE(CLFE_XATTR), VALUE(CHANGELOG_RENAME_SIZE),
	VALUE(CHANGELOG_JOBID_SIZE), VALUE(CHANGELOG_EXTRA_FLAGS_SIZE), VALUE(CHANGELOG_UIDGID_SIZE), VALUE(CHANGELOG_NID_SIZE),
	VALUE(CHANGELOG_OPEN_SIZE), VALUE(CHANGELOG_XATTR_SIZE), VALUE(CHANGELOG_RECORD_MAX), VALUE(CHANGELOG_FLAG_EXTRA_FLAGS),
	VALUE(CHANGELOG_EXTRA_FLAG_UIDGID), VALUE(CHANGELOG_EXTRA_FLAG_XATTR),
};
int main(void)
{
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		printf("%s = %llu\n", facts[i].name, facts[i].value);
	return 0;
}
EOF

# ... and the functions: a pointer of our type must take Lustre's function, both declared with the same names of types.
functions=$(sed -n 's/^typedef int \(llapi_[a-z0-9_]*\)_fn(.*/\1/p' "$here/src/lustre_abi.h")

{
	echo '#include <stdio.h>'
	echo "#include \"$here/src/lustre_abi.h\""
	echo '#include "facts.h"'
} > "$work/ours.c"
cat > "$work/theirs.c" <<'EOF'
#define _GNU_SOURCE
#include <stdio.h>
#include <stddef.h>
#include <stdbool.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <lustre/lustreapi.h>
#include <linux/lustre/lustre_kernelcomm.h>
#define CHANGELOG_RENAME_SIZE sizeof(struct changelog_ext_rename)
#define CHANGELOG_JOBID_SIZE sizeof(struct changelog_ext_jobid)
#define CHANGELOG_EXTRA_FLAGS_SIZE sizeof(struct changelog_ext_extra_flags)
#define CHANGELOG_UIDGID_SIZE sizeof(struct changelog_ext_uidgid)
#define CHANGELOG_NID_SIZE sizeof(struct changelog_ext_nid)
#define CHANGELOG_OPEN_SIZE sizeof(struct changelog_ext_openmode)
#define CHANGELOG_XATTR_SIZE sizeof(struct changelog_ext_xattr)
/* CR_MAXSIZE is no constant: it calls a function. */
#define CHANGELOG_RECORD_MAX ((2 * NAME_MAX + 2 + sizeof(struct changelog_rec) + CHANGELOG_RENAME_SIZE + CHANGELOG_JOBID_SIZE + \
	CHANGELOG_EXTRA_FLAGS_SIZE + CHANGELOG_UIDGID_SIZE + CHANGELOG_NID_SIZE + CHANGELOG_OPEN_SIZE + CHANGELOG_XATTR_SIZE + 7) / 8 * 8)
#include "facts.h"
EOF
{
	sed 's/#include "facts.h"//' "$work/theirs.c"
	# Our typedefs after their structs: only u64 is spelled differently (unsigned long and unsigned long long).
	sed -n '/^typedef int llapi_/,/);/p' "$here/src/lustre_abi.h" | sed 's/uint64_t/__u64/g; s/uint32_t/__u32/g'
	for f in $functions; do
		case $f in llapi_fid2path_at | llapi_changelog_in_buf) # later than 2.12
			grep -qr "$f" $(echo "$includes" | sed 's/-isystem//g') --include=lustreapi.h || continue ;;
		esac
		echo "${f}_fn *check_$f = $f;"
	done
} > "$work/functions.c"

build() {
	${CC:-cc} -std=gnu11 -w -I"$work" $2 -o "$work/$1" "$work/$1.c" 2> "$work/$1.err" || {
		echo "cannot compile with these headers:" >&2
		head -20 "$work/$1.err" >&2
		exit 1
	}
}

build ours ""
build theirs "$includes"
"$work/ours" > "$work/ours.txt"
"$work/theirs" > "$work/theirs.txt"
ok=0
diff -u "$work/ours.txt" "$work/theirs.txt" || ok=1
${CC:-cc} -std=gnu11 -Werror=incompatible-pointer-types $includes -fsyntax-only "$work/functions.c" > "$work/fn.err" 2>&1 || {
	grep -E 'error:' "$work/fn.err"
	ok=1
}
[ $ok = 0 ] && echo same
exit $ok
