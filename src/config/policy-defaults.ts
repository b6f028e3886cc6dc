/**
 * Classes and policies where the configuration says nothing, as an operator would write them: those of the deployment
 * that this project was made after, plus what it left open (max_outstanding, backoff).
 */

type Tree = Readonly<Record<string, unknown>>;

export const DEFAULT_CLASSES: Readonly<Record<string, Tree>> = {
  small_files: { definition: 'type == file and size > 0 and size <= 16MB' },
  std_files: { definition: 'type == file and size > 16MB and size <= 1GB' },
  big_files: { definition: 'type == file and size > 1GB' },
};

/** What every policy has that does not say otherwise. */
export const COMMON_DEFAULTS: Tree = {
  enabled: true,
  ignore: [],
  ignore_class: [],
  archive_id: 1,
  order: 'ascending',
  rate_limit: { files: 'unlimited', bytes: 'unlimited', period: '10s' },
  max_outstanding: 1000,
  max_files: 'unlimited',
  max_bytes: 'unlimited',
  max_duration: 'unlimited',
  suspend: { errors: 100, share: '50%' },
  backoff: { first: '5m', longest: '1d', quarantine_after: 10 },
};

/** What every rule has that does not say otherwise. */
export const RULE_DEFAULTS: Tree = { max_files: 'unlimited', max_bytes: 'unlimited' };

/** What a policy has by what it does. Rules only the three that are always there have. */
const BY_ACTION: Readonly<Record<string, Tree>> = {
  archive: { sort: 'last_mod', triggers: [{ on: 'periodic', interval: '5m' }] },
  release: { sort: 'last_access', triggers: [{ on: 'ost_usage', high: '85%', low: '80%', interval: '5m' }] },
  remove: { sort: 'rm_time', triggers: [{ on: 'periodic', interval: '5m' }] },
};

export const DEFAULT_POLICIES: Readonly<Record<string, Tree>> = {
  archive: {
    action: 'archive',
    rules: {
      archive_small: { target_class: ['small_files'], condition: 'last_mod >= 30min' },
      archive_std: { target_class: ['std_files', 'big_files'], condition: 'last_mod >= 30min' },
      default: { condition: 'last_mod >= 30min' },
    },
    rate_limit: { files: 1000 },
  },
  release: {
    action: 'release',
    rules: {
      release_small: { target_class: ['small_files'], condition: 'last_access > 1y' },
      release_std: { target_class: ['std_files', 'big_files'], condition: 'last_access > 1d' },
      default: { condition: 'last_access > 6h' },
    },
  },
  remove: { action: 'remove', rules: { default: { condition: 'rm_time >= 5min' } } },
};

/** The settings of a policy that are maps of their own, filled in key by key; rules and triggers are taken as a whole. */
const NESTED = ['rate_limit', 'suspend', 'backoff'];

/** Classes with the default ones before them; a class of the same name replaces its default. */
export function withDefaultClasses(given: unknown): unknown {
  return isTree(given) ? { ...DEFAULT_CLASSES, ...given } : given;
}

/** Policies with everything filled in that they leave open. What is no map is left for the schema to refuse. */
export function withDefaultPolicies(given: unknown): unknown {
  if (!isTree(given)) return given;
  const names = new Set([...Object.keys(DEFAULT_POLICIES), ...Object.keys(given)]);
  return Object.fromEntries([...names].map((name) => [name, filledIn(name, given[name] ?? {})]));
}

function filledIn(name: string, given: unknown): unknown {
  if (!isTree(given)) return given;
  const own = Object.hasOwn(DEFAULT_POLICIES, name) ? (DEFAULT_POLICIES[name] as Tree) : {};
  const action = String(own['action'] ?? given['action']);
  const layers = [COMMON_DEFAULTS, Object.hasOwn(BY_ACTION, action) ? (BY_ACTION[action] as Tree) : {}, own, given];
  const filled: Record<string, unknown> = Object.assign({}, ...layers);
  for (const key of NESTED) {
    const maps = layers.map((layer) => layer[key]).filter((value) => value !== undefined);
    filled[key] = maps.every(isTree) ? Object.assign({}, ...maps) : given[key];
  }
  for (const key of ['ignore', 'ignore_class']) filled[key] = listOf(filled[key]);
  if (isTree(filled['rules'])) {
    filled['rules'] = Object.fromEntries(Object.entries(filled['rules']).map(([rule, value]) => [rule, ruleOf(value)]));
  }
  return filled;
}

const ruleOf = (rule: unknown): unknown =>
  isTree(rule) ? { ...RULE_DEFAULTS, ...rule, target_class: listOf(rule['target_class'] ?? []) } : rule;

/** One thing may stand for a list of one. */
const listOf = (value: unknown): unknown => (typeof value === 'string' ? [value] : value);

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
