import { OperatorError } from '../service/errors.ts';

/** One thing that is wrong: where (a file's line, a variable, a flag), at which key, and what. */
export interface Problem {
  readonly where: string;
  readonly path: string;
  readonly message: string;
}

/** Everything that is wrong with a configuration, at once. */
export class ConfigError extends OperatorError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], hint: string) {
    super(formatProblems(problems), { code: 'CONFIG_INVALID', exit: 'usage', hint });
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

function formatProblems(problems: readonly Problem[]): string {
  const lines = problems.map(formatProblem);
  return lines.length === 1 ? lines.join() : [`${lines.length} problems in the configuration:`, ...lines].join('\n  ');
}

function formatProblem(problem: Problem): string {
  return [problem.where, problem.path, problem.message].filter((part) => part !== '').join(': ');
}
