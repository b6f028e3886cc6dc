/** One metric with its samples, as Prometheus knows it. */
export interface Family {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export function family(
  type: Family['type'],
  name: string,
  help: string,
  samples: readonly Sample[] | number | undefined,
): Family {
  const all = samples === undefined ? [] : typeof samples === 'number' ? [{ value: samples }] : samples;
  return { name: `lfsazsync_${name}`, type, help, samples: all };
}

export const gauge = (name: string, help: string, samples: readonly Sample[] | number | undefined): Family =>
  family('gauge', name, help, samples);
/** Its name ends in `_total`. */
export const counter = (name: string, help: string, samples: readonly Sample[] | number | undefined): Family =>
  family('counter', name, help, samples);

/** The text format of Prometheus (version 0.0.4). Metrics without a sample are left out. */
export function exposition(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) => {
      const lines = samples.map(({ labels, value }) => `${name}${labelText(labels)} ${valueText(value)}`);
      return `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
    })
    .join('');
}

function labelText(labels: Sample['labels']): string {
  const pairs = Object.entries(labels ?? {}).map(([name, value]) => {
    const escaped = value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function valueText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
