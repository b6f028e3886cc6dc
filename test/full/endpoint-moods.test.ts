import { afterAll, beforeAll, test } from 'vitest';
import { type GatewayRig, startGatewayRig } from '../integration/copytool/gateway-rig.ts';
import { CASES, nameOf, runCase } from '../integration/copytool/moods.ts';

/** The whole table: every mood of the endpoint at every request of every action. */
let it: GatewayRig;
beforeAll(async () => {
  it = await startGatewayRig({
    config: { copytool: { block_size: '64KiB', range_size: '256KiB', stall_timeout: '1s' } },
  });
});
afterAll(() => it?.stop());

test.each(CASES.map((one) => [nameOf(one), one] as const))('%s', (_name, one) => runCase(it.rig, it.gateway, one));
