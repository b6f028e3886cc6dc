import { expect, test } from 'vitest';
import { parseOstUsage, percentUsed } from './ost-usage.ts';

const RECORDED = `UUID                   1K-blocks        Used   Available Use%  Mounted on
lustrefs-MDT0000_UUID     1160264        1852     1038832   1%  /mnt/lustre[MDT:0] 
lustrefs-OST0000_UUID     1908940        1424     1786276   1%  /mnt/lustre[OST:0] 
lustrefs-OST0001_UUID     1908940        1408     1786292   1%  /mnt/lustre[OST:1] 

filesystem_summary:      3817880        2832     3572568   1%  /mnt/lustre 

`;

test('OSTs as a real Lustre printed them; MDTs and the sum are none', () => {
  expect(parseOstUsage(RECORDED)).toEqual([
    { index: 0, name: 'lustrefs-OST0000', used: 1424 * 1024, available: 1786276 * 1024 },
    { index: 1, name: 'lustrefs-OST0001', used: 1408 * 1024, available: 1786292 * 1024 },
  ]);
});

test('indexes are hexadecimal, names may have hyphens, OSTs without figures and mounts that look like lines are passed over', () => {
  const text = [
    'my-fs-OST001f_UUID 100 85 15 85% /mnt/my fs[OST:31]',
    'OST0003             : inactive device',
    'my-fs-OST0004_UUID : Resource temporarily unavailable',
    ' my-fs-OST0005_UUID 100 85 15 85% /x[OST:5]',
  ].join('\n');
  expect(parseOstUsage(text)).toEqual([{ index: 31, name: 'my-fs-OST001f', used: 85 * 1024, available: 15 * 1024 }]);
});

test('the share is that of what may be written: what is kept for root does not count', () => {
  expect(percentUsed({ used: 850, available: 150 })).toBe(85);
  expect(percentUsed({ used: 0, available: 0 })).toBe(0);
});
