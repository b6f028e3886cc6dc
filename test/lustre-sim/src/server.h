/*
 * What the files of the control socket share.
 */
#ifndef LUSTRE_SIM_SERVER_H
#define LUSTRE_SIM_SERVER_H

#include "sim.h"

extern struct conn *conns;
extern pthread_mutex_t conns_lock; /* taken inside of the big one, never around it */

void send_msg(struct conn *c, struct pmsg *m);
void reply(struct conn *c, int rc);

/* Rows are gathered under the lock and sent without it. */
struct rows {
	char *p;
	size_t len, cap;
	uint64_t count, max;
};
void rows_add(struct rows *r, struct pmsg *m);
void rows_send(struct conn *c, struct rows *r);

struct who conn_who(const struct conn *c);
/* Under the lock: the node a request names. */
int node_of(const struct pline *l, struct node **n);
void conn_put(struct conn *c);
void agent_gone(struct conn *c);

void v_hsm_state(struct conn *c, const struct pline *l);
void v_hsm_state_set(struct conn *c, const struct pline *l);
void v_hsm_request(struct conn *c, const struct pline *l);
void v_ct_register(struct conn *c, const struct pline *l);
void v_ct_unregister(struct conn *c, const struct pline *l);
void v_ct_begin(struct conn *c, const struct pline *l);
void v_ct_copy_end(struct conn *c, const struct pline *l);
void v_ct_progress(struct conn *c, const struct pline *l);
void v_ct_end(struct conn *c, const struct pline *l);
void v_data_version(struct conn *c, const struct pline *l);
void v_fid2path(struct conn *c, const struct pline *l);
void v_getstripe(struct conn *c, const struct pline *l);
void v_setstripe(struct conn *c, const struct pline *l);
void v_grow(struct conn *c, const struct pline *l);
void v_mkdir(struct conn *c, const struct pline *l);
void v_mdtidx(struct conn *c, const struct pline *l);
void v_import(struct conn *c, const struct pline *l);
void v_changelog(struct conn *c, const struct pline *l);
void v_changelog_clear(struct conn *c, const struct pline *l);
void v_changelog_register(struct conn *c, const struct pline *l);
void v_changelog_deregister(struct conn *c, const struct pline *l);
void v_df(struct conn *c, const struct pline *l);
void v_statfs(struct conn *c, const struct pline *l);
void v_param_get(struct conn *c, const struct pline *l);
void v_param_list(struct conn *c, const struct pline *l);
void v_param_set(struct conn *c, const struct pline *l);
void v_fault(struct conn *c, const struct pline *l);
void v_sim(struct conn *c, const struct pline *l);
void v_quit(struct conn *c, const struct pline *l);

#endif
