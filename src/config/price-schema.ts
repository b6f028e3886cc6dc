import * as z from 'zod';
import { price } from './measures.ts';

/** `prices`: what dry runs count with. There are no defaults: prices differ by region, redundancy, contract and time. */

export const TIERS = ['Hot', 'Cool', 'Cold'] as const;

const tier = z.strictObject({
  writes: price().optional().meta({ description: 'price of 10,000 write operations' }),
  reads: price().optional().meta({ description: 'price of 10,000 read operations' }),
  other: price().optional().meta({ description: 'price of 10,000 of all other operations' }),
  written: price().optional().meta({ description: 'price of writing one GiB; 0 if there is none' }),
  retrieved: price().optional().meta({ description: 'price of reading one GiB; 0 if there is none' }),
  stored: price().optional().meta({ description: 'price of storing one GiB for a month' }),
});

export const pricesSchema = z
  .strictObject({
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'must be three capital letters, such as USD')
      .prefault('USD')
      .meta({ description: 'currency of the prices' }),
    as_of: z
      .string()
      .regex(/^[\x20-\x7e]{1,100}$/, 'must be one short line')
      .optional()
      .meta({
        description:
          'where and when the prices were looked up; printed with every estimate: `West Europe, LRS, 2026-11-01`',
      }),
    account_tier: z
      .enum(TIERS)
      .prefault('Hot')
      .meta({ description: 'default access tier of the account, for what is written without an `access_tier`' }),
    tiers: z
      .record(z.string().regex(/^(?:Hot|Cool|Cold)$/, 'must be Hot, Cool or Cold'), tier)
      .prefault({})
      .meta({ description: 'prices by access tier' }),
  })
  .prefault({})
  .meta({ description: "the storage service's price list, for what dry runs estimate" });
