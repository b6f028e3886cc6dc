/* What the layout modules share. */
#ifndef LUSTRE_SIM_LAYOUT_H
#define LUSTRE_SIM_LAYOUT_H

#include "../lov_ea.h"

/* Gives the file or directory behind fd that layout; 0 or -errno (EEXIST: has one, ENOTTY: not on a stand-in). */
int sim_set_layout(int fd, const struct lov_ea *lov);
/* Its layout, or -errno (ENODATA: none). Free with lov_ea_free. */
int sim_get_layout(int fd, struct lov_ea *lov);

#endif
