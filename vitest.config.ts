import { defineConfig } from 'vitest/config';

/**
 * Tests that start daemons and mount file systems: each file in a process of its own, few at a time, time enough. On a
 * real Lustre they share its coordinator and its changelog: one at a time.
 */
const withSystem = {
  pool: 'forks',
  maxWorkers: (process.env['LFSAZSYNC_TEST_MOUNT'] ?? '') === '' ? 2 : 1,
  testTimeout: 300_000,
  hookTimeout: 300_000,
  teardownTimeout: 60_000,
} as const;

export default defineConfig({
  test: {
    disableConsoleIntercept: true,
    passWithNoTests: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['src/**/*.test.{ts,tsx}', 'test/unit/**/*.test.ts'],
          testTimeout: 60_000,
          pool: 'forks',
          maxWorkers: 2,
        },
      },
      { extends: true, test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...withSystem } },
      { extends: true, test: { name: 'contract', include: ['test/contract/**/*.test.ts'], ...withSystem } },
      {
        extends: true,
        test: { name: 'full', include: ['test/full/**/*.test.ts'], ...withSystem, testTimeout: 1_800_000 },
      },
    ],
  },
});
