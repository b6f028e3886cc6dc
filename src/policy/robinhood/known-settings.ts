import type { Finding } from './report.ts';

type Answer = readonly [outcome: Finding['outcome'], why: string];

const UNNEEDED = (why: string): Answer => ['unneeded', why];
const DIFFERENT = (why: string): Answer => ['different', why];
const MISSING = (why: string): Answer => ['missing', why];

const LOG = UNNEEDED('services log JSON lines to standard error, or to `log.file`; deletions go to the audit log');
const DATABASE = UNNEEDED('the catalog is a file in `state_dir`; it needs no database server');
const PIPELINE = UNNEEDED('the follower sets its own batches and threads');

/** Blocks that convert by nothing in them being needed, and what their settings are answered with. `*`: any other. */
export const KNOWN_BLOCKS: Readonly<Record<string, Readonly<Record<string, Answer>>>> = {
  general: {
    fs_path: ['converted', '`mount`'],
    fs_type: UNNEEDED('it is always Lustre'),
    stay_in_fs: UNNEEDED('a scan never leaves the file system'),
    check_mounted: UNNEEDED('always checked: the file system is known by an UUID on its root'),
    last_access_only_atime: ['converted', 'last_access is the later of atime and mtime'],
    uid_gid_as_numbers: UNNEEDED('conditions take names and numbers'),
    direct_mds_stat: UNNEEDED('not needed'),
    fs_key: UNNEEDED('the file system is known by an UUID on its root'),
    '*': MISSING('no such setting'),
  },
  log: {
    debug_level: DIFFERENT('`log.level`; the default, info, tells of events'),
    report_file: UNNEEDED('what runs did is in the catalog: `policy runs`; deletions are in the audit log'),
    alert_file: MISSING('there are no alerts by file'),
    changelogs_file: MISSING('records are not dumped'),
    stats_interval: UNNEEDED('figures are told when they are asked for'),
    batch_alert_max: MISSING('there are no alerts'),
    alert_show_attrs: MISSING('there are no alerts'),
    alert_mail: MISSING('there are no alerts by mail'),
    '*': LOG,
  },
  db_update_params: {
    '*': UNNEEDED('the follower looks at what changed; policies look at the files again before they act'),
  },
  updt_params: {
    '*': UNNEEDED('the follower looks at what changed; policies look at the files again before they act'),
  },
  listmanager: { '*': DATABASE },
  mysql: { '*': DATABASE },
  sqlite: { '*': DATABASE },
  entryprocessor: {
    match_classes: UNNEEDED('classes are matched when policies are applied'),
    detect_fake_mtime: UNNEEDED('mtime is taken as it is'),
    '*': PIPELINE,
  },
  fs_scan: {
    nb_threads_scan: ['converted', '`scan.threads`'],
    scan_interval: DIFFERENT(
      'scans are not periodic: the changelog tells of what changes; a timer may run `lfsazsync scan`',
    ),
    min_scan_interval: DIFFERENT('scans are not periodic: a timer may run `lfsazsync scan`'),
    max_scan_interval: DIFFERENT('scans are not periodic: a timer may run `lfsazsync scan`'),
    scan_retry_delay: UNNEEDED('a scan that was stopped goes on when it is started again'),
    completion_command: MISSING('no command is run after a scan'),
    ignore: DIFFERENT('a scan leaves nothing out, so that the container has everything; policies may ignore files'),
    '*': UNNEEDED('the scan sets it itself'),
  },
  changelog: {
    mdt_name: DIFFERENT(
      '`mdts` is found out from the client; where it is set, it has the name of the file system, too: lustre-MDT0000',
    ),
    reader_id: DIFFERENT(
      'the follower is given its changelog user; register one of its own, Robinhood may go on with this one meanwhile',
    ),
    '*': UNNEEDED('the follower clears records once they are durably taken in, and sets its own batches'),
  },
  lhsm_config: {
    rebind_cmd: MISSING('undelete by binding a copy to another FID is not done by policies'),
    '*': UNNEEDED('files are known by FID and generation'),
  },
};

const QUEUES = UNNEEDED('queues and batches are set by lfsazsync itself');

/** Settings of `…_parameters` that are not converted. */
export const KNOWN_PARAMETERS: Readonly<Record<string, Answer>> = {
  nb_threads: UNNEEDED('files are asked for many at once: `request.batch` and `request.parallel`'),
  report_interval: UNNEEDED('progress is shown on a terminal, and logged'),
  report_actions: UNNEEDED('outcomes are in the catalog: `policy runs`'),
  action_timeout: UNNEEDED('requests are followed by the coordinator’s own timeouts'),
  check_actions_interval: UNNEEDED('outcomes are seen in the changelog'),
  check_actions_on_startup: UNNEEDED('what is outstanding is counted across runs'),
  recheck_ignored_entries: UNNEEDED('every run looks at all candidates'),
  recheck_ignored_classes: UNNEEDED('every run looks at all candidates'),
  queue_size: QUEUES,
  db_result_size_max: QUEUES,
  reschedule_delay_ms: QUEUES,
  pre_sched_match: UNNEEDED('candidates are always checked again on the file system just before they are asked for'),
  post_sched_match: UNNEEDED('candidates are always checked again on the file system just before they are asked for'),
  pre_maintenance_window: MISSING('there are no maintenance windows'),
  maint_min_apply_delay: MISSING('there are no maintenance windows'),
  pre_run_command: MISSING('no commands are run; a systemd unit may have ExecStartPre='),
  post_run_command: MISSING('no commands are run; a systemd unit may have ExecStartPost='),
};

/** Settings of `…_trigger` that are not converted. */
export const KNOWN_TRIGGER_SETTINGS: Readonly<Record<string, Answer>> = {
  alert_high: MISSING('there are no alerts'),
  alert_low: MISSING('there are no alerts'),
  post_trigger_wait: UNNEEDED('the use of OSTs is read anew each time'),
};
