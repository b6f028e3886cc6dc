import { askService, type ControlTarget } from '../service/control/client.ts';
import { OperatorError } from '../service/errors.ts';
import { unavailable } from './part.ts';
import type { Service } from './types.ts';

/** Asks a service for its figures. A socket that nobody answers at means that it does not run. */
export async function serviceAt<F extends object>(
  target: ControlTarget,
  patience: number,
  args: Readonly<Record<string, unknown>> = {},
): Promise<Service<F>> {
  try {
    return { state: 'running', figures: (await askService(target, 'status', args, { timeout: patience })) as F };
  } catch (error) {
    if (error instanceof OperatorError && error.code === 'SERVICE_NOT_RUNNING') return { state: 'not-running' };
    const { code, reason, hint } = unavailable(error);
    return { state: 'unavailable', code, reason, ...(hint === undefined ? {} : { hint }) };
  }
}
