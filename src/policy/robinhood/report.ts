/** What became of one thing in Robinhood's configuration. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  /** Block and setting, such as `lhsm_archive_parameters::nb_threads`. */
  readonly what: string;
  /** `converted`: ours does the same. `unneeded`: nothing is lost. `different`: to be looked at. `missing`: it is not done. */
  readonly outcome: 'converted' | 'unneeded' | 'different' | 'missing';
  /** Into what, or why not. */
  readonly why: string;
}
