import { expect, test } from 'vitest';
import { RecordType } from '../lustre/changelog-record.ts';
import { missingTypes } from './record-types.ts';

const all = new Map(Object.values(RecordType).map((type) => [type, 1000]));
const without = (...names: (keyof typeof RecordType)[]) =>
  new Map([...all].filter(([type]) => !names.some((name) => RecordType[name] === type)));

test('what never came among many records is told, with what is missed without it', () => {
  expect(missingTypes(without('CLOSE', 'SATTR')).map((one) => one.type)).toEqual(['CLOSE', 'SATTR']);
  expect(missingTypes(without('HSM'))[0]?.missed).toMatch(/archives/);
});

test('what is not needed may be missing: the mask of the original deployment is enough', () => {
  expect(
    missingTypes(without('ATIME', 'FLRW', 'GXATR', 'MARK', 'MIGRT', 'NOPEN', 'OPEN', 'RESYNC', 'XATTR', 'LYOUT')),
  ).toEqual([]);
});

test('a few records prove nothing', () => {
  expect(missingTypes(new Map([[RecordType.CREAT, 9999]]))).toEqual([]);
  expect(missingTypes(new Map([[RecordType.CREAT, 10_000]]))).not.toEqual([]);
});
