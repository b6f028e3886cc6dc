import { type ConditionContext, conditionText, NoEquivalent } from './condition.ts';
import { KNOWN_BLOCKS } from './known-settings.ts';
import { inTable, isNamed, mentions, NO_FILE, nameOf } from './names.ts';
import type { RhBlock, RhItem } from './parser.ts';
import { PolicyConversion } from './policy.ts';
import type { RobinhoodConfig } from './read.ts';
import type { Finding } from './report.ts';

/** Our configuration as plain data, and what became of everything. */
export interface Conversion {
  readonly config: {
    readonly mount?: string;
    readonly scan?: { readonly threads: number };
    /** By rules, as in Robinhood, and not at all where it has none: the follower would go by its grace period alone. */
    readonly removal: { readonly by: 'policy' };
    readonly classes: Readonly<Record<string, { readonly definition: string }>>;
    readonly policies: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  /** In the order of the lines. */
  readonly findings: readonly Finding[];
}

/** What Robinhood calls them, and what they are here. */
const STANDARD: Readonly<Record<string, { readonly name: string; readonly action: 'archive' | 'release' | 'remove' }>> =
  {
    lhsm_archive: { name: 'archive', action: 'archive' },
    lhsm_release: { name: 'release', action: 'release' },
    lhsm_remove: { name: 'remove', action: 'remove' },
  };

/**
 * Converts a Robinhood configuration. Whatever can't be told in our terms is never guessed: a policy that depends on it is
 * written with `enabled: false`, and so is one that Robinhood does not have.
 */
export function convertRobinhood(source: RobinhoodConfig): Conversion {
  return new Converter(source).convert();
}

class Converter {
  readonly #source: RobinhoodConfig;
  readonly #findings: Finding[];
  readonly #classes = new Map<
    string,
    { readonly name: string; readonly definition: string; readonly block: RhBlock }
  >();
  /** Names of ours of classes that could not be converted, and of those that are made of them. */
  readonly #broken = new Set<string>();
  #mount: string | undefined;
  #threads: number | undefined;

  constructor(source: RobinhoodConfig) {
    this.#source = source;
    this.#findings = [...source.findings];
  }

  convert(): Conversion {
    for (const stray of this.#source.strays) this.#tell(stray, 'missing', 'stands outside of a block');
    this.#readGeneral();
    const context: ConditionContext = {
      root: (this.#mount ?? '').replace(/\/+$/, ''),
      classNamed: (name) => this.#classes.get(name.toLowerCase())?.name,
    };
    this.#readClasses(context);
    const policies = this.#policies(context);
    for (const block of this.#source.blocks) if (!policies.used.has(block)) this.#answerBlock(block);
    return {
      config: {
        ...(this.#mount === undefined ? {} : { mount: this.#mount }),
        ...(this.#threads === undefined ? {} : { scan: { threads: this.#threads } }),
        removal: { by: 'policy' },
        classes: Object.fromEntries([...this.#classes.values()].map(({ name, definition }) => [name, { definition }])),
        policies: policies.config,
      },
      findings: this.#findings.sort((a, b) => (a.file === b.file ? a.line - b.line : 0)),
    };
  }

  #readGeneral(): void {
    for (const item of this.#blocks('general').flatMap((block) => block.items)) {
      if (item.kind === 'setting' && item.name === 'fs_path') this.#mount = item.value;
    }
    for (const item of this.#blocks('fs_scan').flatMap((block) => block.items)) {
      if (item.kind !== 'setting' || item.name !== 'nb_threads_scan') continue;
      const threads = Number(item.value);
      if (Number.isInteger(threads) && threads >= 1 && threads <= 256) this.#threads = threads;
    }
  }

  #readClasses(context: ConditionContext): void {
    const inside = this.#blocks('filesets').flatMap((block) => block.items.filter((item) => item.kind === 'block'));
    const blocks = [...this.#source.blocks, ...inside].filter((block) => isNamed(block, 'fileclass'));
    // All names first: a class may be made of later ones.
    for (const block of blocks) {
      const name = nameOf(block.id ?? 'unnamed');
      this.#classes.set((block.id ?? '').toLowerCase(), { name, definition: NO_FILE, block });
    }
    for (const block of blocks) {
      const name = nameOf(block.id ?? 'unnamed');
      const definition = block.items.find((item) => item.kind === 'block' && isNamed(item, 'definition'));
      const text = this.#textOf(definition, `FileClass ${block.id}`, context);
      this.#classes.set((block.id ?? '').toLowerCase(), { name, definition: text ?? NO_FILE, block });
      if (text === undefined) this.#broken.add(name);
      else this.#tell(block, 'converted', `classes.${name}`, `FileClass ${block.id}`);
      for (const item of block.items) this.#answerClassItem(item, block);
    }
    this.#spreadBroken();
  }

  /** A class that is made of one that could not be converted is not converted either. */
  #spreadBroken(): void {
    for (let before = -1; before !== this.#broken.size; ) {
      before = this.#broken.size;
      for (const { name, definition } of this.#classes.values()) {
        if ([...this.#broken].some((broken) => mentions(definition, broken))) this.#broken.add(name);
      }
    }
  }

  #textOf(item: RhItem | undefined, what: string, context: ConditionContext): string | undefined {
    if (item?.kind !== 'block' || item.condition === undefined) {
      if (item !== undefined) this.#tell(item, 'missing', 'holds no condition', what);
      return undefined;
    }
    try {
      return conditionText(item.condition, context);
    } catch (error) {
      if (!(error instanceof NoEquivalent)) throw error;
      this.#tell(
        { file: item.file, line: error.line },
        'missing',
        `${error.message}; what depends on it is not enabled`,
        what,
      );
      return undefined;
    }
  }

  #answerClassItem(item: RhItem, block: RhBlock): void {
    const what = `FileClass ${block.id}::${item.kind === 'include' ? item.target : item.name}`;
    if (item.kind === 'block' && isNamed(item, 'definition')) return;
    if (item.kind === 'setting' && item.name.toLowerCase() === 'report')
      this.#tell(item, 'unneeded', 'every class can be reported', what);
    else if (!(item.kind === 'block' && /_action_params$/i.test(item.name)))
      this.#tell(item, 'missing', 'no such setting', what);
  }

  #policies(context: ConditionContext): { config: Record<string, Record<string, unknown>>; used: Set<RhBlock> } {
    const config: Record<string, Record<string, unknown>> = {};
    const used = new Set<RhBlock>();
    for (const [rhName, { name, action }] of this.#policyNames(used)) {
      const conversion = new PolicyConversion({
        rhName,
        action,
        custom: !Object.hasOwn(STANDARD, rhName),
        scope: this.#source.blocks.find(
          (block) => isNamed(block, 'define_policy') && block.id?.toLowerCase() === rhName,
        ),
        blocks: this.#source.blocks,
        classes: this.#classes,
        isBroken: (className) => this.#broken.has(className),
        textOf: (item, what) => this.#textOf(item, what, context),
        tell: (place, outcome, why, what) => this.#tell(place, outcome, why, what),
      });
      config[name] = conversion.convert();
      for (const block of conversion.used) used.add(block);
    }
    return { config, used };
  }

  #policyNames(used: Set<RhBlock>): Map<string, { name: string; action: 'archive' | 'release' | 'remove' }> {
    const names = new Map(Object.entries(STANDARD));
    for (const block of this.#blocks('define_policy')) {
      used.add(block);
      const id = block.id?.toLowerCase() ?? '';
      if (names.has(id)) {
        this.#tell(block, 'converted', `policies.${names.get(id)?.name}`, `define_policy ${block.id}`);
        continue;
      }
      const manager = block.items.find((item) => item.kind === 'setting' && item.name === 'status_manager');
      const [argument = ''] = manager?.kind === 'setting' && manager.value === 'lhsm' ? manager.args : [];
      const action = ({ archive: 'archive', release: 'release', removed: 'remove', deleted: 'remove' } as const)[
        argument
      ];
      if (action === undefined)
        this.#tell(
          block,
          'missing',
          'only policies that archive, release or remove are there',
          `define_policy ${block.id}`,
        );
      else names.set(id, { name: nameOf(block.id ?? ''), action });
    }
    return names;
  }

  #answerBlock(block: RhBlock): void {
    const name = block.name.toLowerCase();
    if (name === 'fileclass' || name === 'filesets') return;
    const known = inTable(KNOWN_BLOCKS, name);
    if (known === undefined) {
      this.#tell(block, 'missing', 'no such block, or one of a policy that is not defined');
      return;
    }
    for (const item of block.items) {
      if (item.kind === 'include') continue;
      if (item.kind === 'block' && inTable(KNOWN_BLOCKS, item.name.toLowerCase()) !== undefined) {
        this.#answerBlock(item);
        continue;
      }
      if (
        item.kind === 'block' &&
        item.condition === undefined &&
        inTable(known, item.name.toLowerCase()) === undefined
      ) {
        this.#answerNested(item, known, block);
        continue;
      }
      const answer = inTable(known, item.name.toLowerCase()) ?? known['*'];
      if (answer !== undefined)
        this.#tell(item, answer[0], this.#wording(item, answer[1]), `${block.name}::${item.name}`);
    }
  }

  #answerNested(
    block: RhBlock,
    known: Readonly<Record<string, readonly [Finding['outcome'], string]>>,
    above: RhBlock,
  ): void {
    for (const item of block.items) {
      if (item.kind === 'include') continue;
      const [outcome, why] = inTable(known, item.name.toLowerCase()) ?? known['*'] ?? ['missing', 'no such setting'];
      this.#tell(item, outcome, why, `${above.name}::${block.name}::${item.name}`);
    }
  }

  /** Answers that depend on the value. */
  #wording(item: RhItem, why: string): string {
    if (
      item.kind !== 'setting' ||
      item.name !== 'last_access_only_atime' ||
      !/^(yes|1|true|on|enabled)$/i.test(item.value)
    )
      return why;
    return 'last_access is the later of atime and mtime: mtime can’t be left out of it, so files are released later than by Robinhood';
  }

  #blocks(name: string): RhBlock[] {
    return this.#source.blocks.filter((block) => isNamed(block, name));
  }

  #tell(
    { file, line, ...rest }: { readonly file: string; readonly line: number; readonly name?: string },
    outcome: Finding['outcome'],
    why: string,
    what = rest.name ?? '',
  ): void {
    this.#findings.push({ file, line, what, outcome, why });
  }
}
