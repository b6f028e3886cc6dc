import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { GENERATED, regenerate } from '../../scripts/docs.ts';
import { projectRoot } from '../support/project.ts';

it.each(Object.entries(GENERATED))("%s says what the code does (else run 'npm run docs')", (name, content) => {
  const document = readFileSync(join(projectRoot, name), 'utf8');
  expect(document).toBe(regenerate(document, content()));
});

const documents = [
  ...['README.md', 'CHANGELOG.md'],
  ...['docs', 'deploy'].flatMap((folder) =>
    readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  ),
];

/** A document without what stands in blocks: a `#` there is no heading, and brackets are no links. */
const prose = (name: string) => readFileSync(join(projectRoot, name), 'utf8').replace(/^\s*```[\s\S]*?^\s*```$/gm, '');

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(name: string): string[] {
  return [...prose(name).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
}

function isBroken(name: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? name : join(dirname(name), path);
  if (!existsSync(join(projectRoot, target))) return true;
  return anchor !== undefined && !anchorsOf(target).includes(anchor);
}

it.each(documents)('every link of %s leads somewhere', (name) => {
  const links = [...prose(name).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  expect(links.filter((link) => !/^https?:/.test(link) && isBroken(name, link))).toEqual([]);
});

it('a link that leads nowhere is seen', () => {
  expect(isBroken('docs/README.md', 'no-such-page.md')).toBe(true);
  expect(isBroken('docs/README.md', 'operations.md#no-such-heading')).toBe(true);
  expect(isBroken('docs/README.md', 'operations.md#upgrades-and-going-back')).toBe(false);
});
