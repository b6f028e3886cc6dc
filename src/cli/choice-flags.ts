import { Flags } from '@oclif/core';

/** What files are chosen by, as `find` and `report` take it: src/query/condition.ts. */
export const choiceFlags = {
  where: Flags.string({ description: 'condition in the language of the policies', helpValue: 'CONDITION', char: 'w' }),
  name: Flags.string({
    description: 'name, with * and ? and [...]; may be repeated: any of them',
    helpValue: 'GLOB',
    multiple: true,
  }),
  type: Flags.string({ description: 'f, d, l, p, c, b, s; may be repeated', helpValue: 'TYPE', multiple: true }),
  size: Flags.string({
    description: '+N larger, -N smaller, N exactly, such as +1G; may be repeated',
    helpValue: '[+-]N',
    multiple: true,
  }),
  user: Flags.string({ description: 'name or number', helpValue: 'USER', aliases: ['uid'] }),
  group: Flags.string({ description: 'name or number', helpValue: 'GROUP', aliases: ['gid'] }),
  project: Flags.string({ description: 'number', helpValue: 'ID', aliases: ['projid'] }),
  mtime: Flags.string({
    description: 'modified: +N longer ago, -N less long ago, such as +30d or -2h; without a unit, days',
    helpValue: '[+-]N',
    multiple: true,
  }),
  atime: Flags.string({
    description: 'last used: read or modified, whichever is later',
    helpValue: '[+-]N',
    multiple: true,
  }),
  ctime: Flags.string({ description: 'last changed in any way', helpValue: '[+-]N', multiple: true }),
  pool: Flags.string({ description: 'OST pool', helpValue: 'GLOB' }),
  ost: Flags.string({
    description: 'has objects on this OST; may be repeated: on any of them',
    helpValue: 'INDEX',
    multiple: true,
  }),
  class: Flags.string({
    description: 'class of the configuration; may be repeated: any of them',
    helpValue: 'CLASS',
    multiple: true,
  }),
  state: Flags.string({
    description: 'archived, released, dirty, lost …, or !released and so on; may be repeated: all of them',
    helpValue: 'STATE',
    multiple: true,
  }),
};
