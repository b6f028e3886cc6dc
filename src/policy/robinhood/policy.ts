import { KNOWN_PARAMETERS, KNOWN_TRIGGER_SETTINGS } from './known-settings.ts';
import { inTable, isNamed, mentions, NO_FILE, nameOf } from './names.ts';
import type { RhBlock, RhItem, RhSetting } from './parser.ts';
import type { Finding } from './report.ts';

type Answer = readonly [outcome: Finding['outcome'], why: string];

interface Place {
  readonly file: string;
  readonly line: number;
  readonly name?: string;
}

export interface PolicySource {
  /** In lower case. */
  readonly rhName: string;
  readonly action: 'archive' | 'release' | 'remove';
  /** Not one of those of lhsm.inc. */
  readonly custom: boolean;
  /** Its `define_policy`. */
  readonly scope: RhBlock | undefined;
  readonly blocks: readonly RhBlock[];
  readonly classes: ReadonlyMap<string, { readonly name: string; readonly block: RhBlock }>;
  isBroken(className: string): boolean;
  /** The condition in a block; undefined: it has no equivalent, which has been told. */
  textOf(item: RhItem, what: string): string | undefined;
  tell(place: Place, outcome: Finding['outcome'], why: string, what?: string): void;
}

const SORTS: Readonly<Record<string, string>> = {
  last_access: 'last_access',
  last_mod: 'last_mod',
  last_mdchange: 'last_change',
  rm_time: 'rm_time',
  size: 'size',
  none: 'none',
};

/** The blocks of one policy: `…_rules`, `…_parameters`, `…_trigger`. */
export class PolicyConversion {
  readonly used = new Set<RhBlock>();
  readonly #source: PolicySource;
  readonly #rules: Record<string, Record<string, unknown>> = {};
  readonly #ignore: string[] = [];
  readonly #ignoreClasses: string[] = [];
  readonly #settings: Record<string, unknown> = {};
  readonly #triggers: Record<string, unknown>[] = [];
  /** Why it is not enabled. */
  #broken = false;

  constructor(source: PolicySource) {
    this.#source = source;
  }

  convert(): Record<string, unknown> {
    const { custom, action, scope } = this.#source;
    if (scope?.items !== undefined && custom) this.#scope(scope);
    const rules = this.#blocks('_rules', '_policies');
    for (const block of rules) this.#readRules(block);
    for (const block of this.#blocks('_parameters')) this.#readParameters(block);
    for (const block of this.#blocks('_trigger')) this.#readTrigger(block);
    const enabled = !this.#broken && rules.length > 0;
    return {
      ...(custom ? { action } : {}),
      ...(enabled ? {} : { enabled: false }),
      ...(this.#ignoreClasses.length === 0 ? {} : { ignore_class: this.#ignoreClasses }),
      ...(this.#ignore.length === 0 ? {} : { ignore: this.#ignore }),
      rules: this.#orderedRules(),
      // Without a trigger Robinhood runs it only when it is told to.
      triggers: this.#triggers.length === 0 ? [{ on: 'manual' }] : this.#triggers,
      ...this.#settings,
    };
  }

  #blocks(...suffixes: string[]): RhBlock[] {
    const found = this.#source.blocks.filter((block) =>
      suffixes.some((suffix) => isNamed(block, `${this.#source.rhName}${suffix}`)),
    );
    for (const block of found) this.used.add(block);
    return found;
  }

  /** What it is limited to by its definition, besides what can be archived or released at all. */
  #scope(definition: RhBlock): void {
    for (const item of definition.items) {
      if (item.kind !== 'block' || !isNamed(item, 'scope')) continue;
      const text = this.#source.textOf(item, `define_policy ${definition.id}::scope`);
      if (text === undefined) this.#broken = true;
      else this.#ignore.push(`not (${text})`);
    }
  }

  #readRules(block: RhBlock): void {
    for (const item of block.items) {
      const what = `${block.name}::${item.kind === 'include' ? '%include' : [item.name, item.kind === 'block' ? item.id : ''].join(' ').trim()}`;
      if (item.kind === 'include') continue;
      const name = item.name.toLowerCase();
      if (item.kind === 'block' && (name === 'rule' || name === 'policy')) this.#readRule(item, what);
      else if (item.kind === 'block' && name === 'ignore') this.#readIgnore(item, what);
      else if (item.kind === 'setting' && name === 'ignore_fileclass') this.#readIgnoredClass(item, what);
      else this.#source.tell(item, 'missing', 'no such setting', what);
    }
  }

  #readIgnore(item: RhBlock, what: string): void {
    const text = this.#source.textOf(item, what);
    if (text === undefined) {
      // What it would keep from being acted on is not known.
      this.#broken = true;
      return;
    }
    this.#ignore.push(text);
    this.#checkClasses(text);
    this.#source.tell(item, 'converted', 'ignore', what);
  }

  #readIgnoredClass(item: RhSetting, what: string): void {
    const className = this.#className(item, what);
    if (className === undefined) return;
    this.#ignoreClasses.push(className);
    this.#source.tell(item, 'converted', 'ignore_class', what);
  }

  #readRule(item: RhBlock, what: string): void {
    const id = item.id ?? 'unnamed';
    const targets: string[] = [];
    let condition: string | undefined;
    let archive = this.#archiveIn(item);
    for (const part of item.items) {
      if (part.kind === 'include') continue;
      const name = part.name.toLowerCase();
      if (part.kind === 'setting' && name === 'target_fileclass') {
        const className = this.#className(part, what);
        if (className !== undefined) targets.push(className);
      } else if (part.kind === 'block' && name === 'condition') {
        condition = this.#source.textOf(part, what);
        if (condition === undefined) {
          condition = NO_FILE;
          this.#broken = true;
        }
        this.#checkClasses(condition);
      } else if (!(part.kind === 'block' && /(^|_)action_params$/.test(name))) {
        this.#source.tell(part, 'missing', 'no such setting of a rule', `${what}::${part.name}`);
      }
    }
    if (targets.length === 0 && id.toLowerCase() !== 'default') {
      this.#source.tell(item, 'missing', 'a rule without target_fileclass, other than default, is for no files', what);
      return;
    }
    for (const [name, classes, ofClasses] of this.#byArchive(nameOf(id), targets)) {
      archive = this.#archiveIn(item) ?? ofClasses;
      this.#rules[name] = {
        ...(classes.length === 0 ? {} : { target_class: classes }),
        ...(condition === undefined ? {} : { condition }),
        ...(archive === undefined ? {} : { archive_id: archive }),
      };
    }
    this.#source.tell(item, 'converted', `rules.${nameOf(id)}`, what);
  }

  /** The rule once, or once for each archive id that its classes name. */
  #byArchive(
    name: string,
    targets: readonly string[],
  ): [name: string, classes: readonly string[], id: number | undefined][] {
    const ids = new Map(targets.map((target) => [target, this.#archiveOfClass(target)]));
    const distinct = [...new Set(ids.values())];
    if (distinct.length <= 1) return [[name, targets, distinct[0]]];
    return targets.map((target) => [nameOf(`${name}_${target}`), [target], ids.get(target)]);
  }

  #archiveOfClass(className: string): number | undefined {
    const found = [...this.#source.classes.values()].find(({ name }) => name === className);
    return found === undefined ? undefined : this.#archiveIn(found.block);
  }

  /** `archive_id` in `action_params` or `lhsm_archive_action_params`. */
  #archiveIn(block: RhBlock): number | undefined {
    let id: number | undefined;
    for (const params of block.items) {
      if (params.kind !== 'block' || !/(^|_)action_params$/i.test(params.name)) continue;
      const policy = params.name.toLowerCase().replace(/_?action_params$/, '');
      if (policy !== '' && policy !== this.#source.rhName) continue;
      for (const item of params.items) {
        if (item.kind === 'include') continue;
        const what = `${block.name}::${params.name}::${item.name}`;
        if (item.kind === 'setting' && /^archive_(id|num)$/.test(item.name) && /^\d{1,5}$/.test(item.value))
          id = Number(item.value);
        else this.#source.tell(item, 'missing', 'actions have no such parameter', what);
      }
    }
    return id;
  }

  /** `default` is tried last, wherever it stands. */
  #orderedRules(): Record<string, unknown> {
    const names = Object.keys(this.#rules);
    const last = names.filter((name) => name.toLowerCase() === 'default');
    return Object.fromEntries(
      [...names.filter((name) => !last.includes(name)), ...last].map((name) => [name, this.#rules[name]]),
    );
  }

  #className(item: RhSetting, what: string): string | undefined {
    const found = this.#source.classes.get(item.value.toLowerCase());
    if (found === undefined) {
      this.#source.tell(item, 'missing', `there is no FileClass ${item.value}; the policy is not enabled`, what);
      this.#broken = true;
      return undefined;
    }
    if (this.#source.isBroken(found.name)) this.#broken = true;
    return found.name;
  }

  #checkClasses(text: string): void {
    for (const { name } of this.#source.classes.values()) {
      if (this.#source.isBroken(name) && mentions(text, name)) this.#broken = true;
    }
  }

  #readParameters(block: RhBlock): void {
    const schedulers = block.items.flatMap((item) =>
      item.kind === 'setting' && item.name === 'schedulers' ? schedulersIn(item) : [],
    );
    for (const item of block.items) {
      if (item.kind === 'include') continue;
      const what = `${block.name}::${item.name}`;
      if (item.kind === 'block') this.#readSubBlock(item, what, schedulers);
      else this.#source.tell(item, ...this.#parameter(item), what);
    }
    const archive = this.#archiveIn(block);
    if (archive !== undefined) this.#settings['archive_id'] = archive;
  }

  #parameter(item: RhSetting): Answer {
    const known = inTable(KNOWN_PARAMETERS, item.name);
    if (known !== undefined) return known;
    switch (item.name) {
      case 'max_action_count':
        return this.#limit(item, 'max_files');
      case 'max_action_volume':
        return this.#limit(item, 'max_bytes');
      case 'suspend_error_pct':
        return this.#suspend('share', `${item.value.replace('%', '')}%`);
      case 'suspend_error_min':
        return this.#suspend('errors', Number(item.value));
      case 'lru_sort_attr':
        return this.#sort(item);
      case 'schedulers': {
        const unknown = schedulersIn(item).filter((name) => !SCHEDULERS.includes(name));
        return unknown.length > 0
          ? ['missing', `no such scheduler: ${unknown.join(', ')}`]
          : ['converted', 'its limits'];
      }
      case 'action':
        return this.#action(item);
      default:
        return ['missing', 'no such setting'];
    }
  }

  #sort(item: RhSetting): Answer {
    const sort = inTable(SORTS, item.value.toLowerCase());
    if (sort === undefined) return ['missing', 'no order by this attribute'];
    this.#settings['sort'] = sort;
    if (item.args[0]?.toLowerCase() === 'desc') this.#settings['order'] = 'descending';
    return ['converted', 'sort'];
  }

  #action(item: RhSetting): Answer {
    const { action } = this.#source;
    const own = { archive: /hsm_archive|lhsm\.archive/, release: /hsm_release|lhsm\.release/, remove: /hsm_remove/ }[
      action
    ];
    return own.test([item.value, ...item.args].join(' '))
      ? ['converted', `the policy asks for the ${action} itself, many files at once`]
      : ['different', `commands are not run: the policy asks for the ${action} itself`];
  }

  #suspend(key: string, value: unknown): Answer {
    this.#settings['suspend'] = { ...(this.#settings['suspend'] as object | undefined), [key]: value };
    return ['converted', 'suspend'];
  }

  #limit(item: RhSetting, key: string): Answer {
    if (item.value !== '0') this.#settings[key] = /^\d+$/.test(item.value) ? Number(item.value) : item.value;
    return ['converted', key];
  }

  #readSubBlock(block: RhBlock, what: string, schedulers: readonly string[]): void {
    const tell = (...answer: Answer) => this.#source.tell(block, ...answer, what);
    if (/(^|_)action_params$/.test(block.name)) tell('converted', 'archive_id');
    else if (!SCHEDULERS.includes(`common.${block.name}`)) tell('missing', 'no such block');
    else if (!schedulers.includes(`common.${block.name}`))
      tell('unneeded', 'not among the schedulers, so it has no effect in Robinhood either');
    else {
      if (block.name === 'rate_limit') this.#settings['rate_limit'] = { files: 'unlimited' };
      for (const item of block.items) {
        if (item.kind !== 'setting') continue;
        const answer = block.name === 'rate_limit' ? this.#rateLimit(item) : this.#perRun(item);
        this.#source.tell(item, ...answer, `${what}::${item.name}`);
      }
    }
  }

  #perRun(item: RhSetting): Answer {
    if (item.name === 'max_count') return this.#limit(item, 'max_files');
    return item.name === 'max_vol' ? this.#limit(item, 'max_bytes') : ['missing', 'no such setting'];
  }

  #rateLimit(item: RhSetting): Answer {
    const limits = this.#settings['rate_limit'] as Record<string, unknown>;
    const value = item.value === '0' ? 'unlimited' : item.value;
    if (item.name === 'max_count') limits['files'] = /^\d+$/.test(value) ? Number(value) : value;
    else if (item.name === 'max_size') limits['bytes'] = value;
    else if (item.name === 'period_ms') limits['period'] = periodText(Number(item.value));
    else return ['missing', 'no such setting'];
    return ['converted', 'rate_limit'];
  }

  #readTrigger(block: RhBlock): void {
    const on = block.items.find((item): item is RhSetting => item.kind === 'setting' && item.name === 'trigger_on');
    const kind = inTable(TRIGGERS, on?.value.toLowerCase() ?? '');
    const convertible = kind === 'periodic' || (kind === 'ost_usage' && this.#source.action === 'release');
    const trigger: Record<string, unknown> = { on: kind };
    for (const item of block.items) {
      if (item.kind === 'include') continue;
      this.#source.tell(
        item,
        ...this.#triggerSetting(item, convertible ? trigger : undefined),
        `${block.name}::${item.name}`,
      );
    }
    if (!convertible) return;
    const complete = kind === 'periodic' || (trigger['high'] !== undefined && trigger['low'] !== undefined);
    if (complete) this.#triggers.push(trigger);
    else this.#source.tell(block, 'missing', 'ost_usage needs high_threshold_pct and low_threshold_pct');
  }

  #triggerSetting(item: RhBlock | RhSetting, trigger: Record<string, unknown> | undefined): Answer {
    const known = inTable(KNOWN_TRIGGER_SETTINGS, item.name);
    if (known !== undefined) return known;
    if (item.kind === 'block') return ['missing', 'triggers have no parameters of actions'];
    if (trigger === undefined) return ['missing', 'there is no such trigger: run the policy by hand or from a timer'];
    if (item.name === 'check_interval') trigger['interval'] = intervalText(item.value);
    else if (item.name === 'high_threshold_pct') trigger['high'] = `${item.value.replace('%', '')}%`;
    else if (item.name === 'low_threshold_pct') trigger['low'] = `${item.value.replace('%', '')}%`;
    else if (item.name !== 'trigger_on') return ['missing', 'no such setting of this trigger'];
    return ['converted', 'triggers'];
  }
}

const SCHEDULERS: readonly string[] = ['common.rate_limit', 'common.max_per_run'];
const TRIGGERS: Readonly<Record<string, 'periodic' | 'ost_usage'>> = {
  periodic: 'periodic',
  scheduled: 'periodic',
  ost_usage: 'ost_usage',
};

const schedulersIn = (item: RhSetting): string[] => item.value.split(/[\s,]+/);

const periodText = (milliseconds: number): string =>
  milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;

/** A bare number is seconds. */
const intervalText = (text: string): string => (/^\d+$/.test(text) ? `${text}s` : text.toLowerCase());
