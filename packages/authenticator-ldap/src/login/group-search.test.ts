import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Group, walkGroups } from './group-search.ts';

const group = (dn: string): Group => ({ dn, name: `name of ${dn}` });
const generous = { maxDepth: 1000, maxGroups: 1000 };

/** `edges[n]` are the groups that group n is in. */
function walker(edges: readonly (readonly number[])[]) {
  const calls: string[][] = [];
  const parentsOf = async (groups: readonly Group[]) => {
    calls.push(groups.map(({ dn }) => dn));
    return groups.flatMap(({ dn }) => (edges[Number(dn)] ?? []).map((parent) => group(String(parent))));
  };
  return { calls, parentsOf };
}

/** Levels by which each reachable group is away, by relaxation: another way than the walk's. */
function distances(direct: readonly number[], edges: readonly (readonly number[])[]): ReadonlyMap<number, number> {
  const distance = new Map(direct.map((one) => [one, 1]));
  for (let round = 0; round < edges.length; round += 1) {
    for (const [from, parents] of edges.entries()) {
      const start = distance.get(from);
      if (start === undefined) continue;
      for (const to of parents) distance.set(to, Math.min(distance.get(to) ?? Number.POSITIVE_INFINITY, start + 1));
    }
  }
  return distance;
}

const graphs = fc.integer({ min: 1, max: 12 }).chain((size) => {
  const node = fc.nat(size - 1);
  const edges = fc.array(fc.array(node, { maxLength: 4 }), { minLength: size, maxLength: size });
  return fc.record({ edges, direct: fc.array(node, { maxLength: 4 }) });
});

describe('walking groups of groups', () => {
  test('finds all that can be reached, whatever the graph, in one call a level', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, async ({ edges, direct }) => {
        const { calls, parentsOf } = walker(edges);
        const reached = distances(direct, edges);
        const found = await walkGroups(direct.map(String).map(group), generous, parentsOf);
        expect(found.map(({ dn }) => Number(dn)).sort()).toEqual([...reached.keys()].sort());
        expect(found.every(({ dn, name }) => name === `name of ${dn}`)).toBe(true);
        const levels = Math.max(0, ...reached.values());
        expect(calls).toHaveLength(levels);
        for (const [index, level] of calls.entries()) {
          const expected = [...reached].filter(([, distance]) => distance === index + 1).map(([node]) => String(node));
          expect([...level].sort()).toEqual(expected.sort());
        }
      }),
    );
  });

  test('gives all of the groups or none, whatever the bounds', async () => {
    const bound = fc.integer({ min: 1, max: 12 });
    await fc.assert(
      fc.asyncProperty(graphs, bound, bound, async ({ edges, direct }, maxDepth, maxGroups) => {
        const reached = distances(direct, edges);
        const fits = Math.max(0, ...reached.values()) <= maxDepth && reached.size <= maxGroups;
        const { calls, parentsOf } = walker(edges);
        const walk = walkGroups(direct.map(String).map(group), { maxDepth, maxGroups }, parentsOf);
        if (fits) expect(await walk).toHaveLength(reached.size);
        else await expect(walk).rejects.toMatchObject({ name: 'AuthenticatorError', code: 'failed' });
        expect(calls.length).toBeLessThanOrEqual(maxDepth);
      }),
    );
  });

  test('says which limit is passed and how to fix it', async () => {
    const chain = walker([[1], [2], []]);
    await expect(walkGroups([group('0')], { maxDepth: 2, maxGroups: 9 }, chain.parentsOf)).rejects.toThrow(
      "the user's groups are nested deeper than 2 levels: flatten the groups, or raise groups.maxDepth",
    );
    await expect(walkGroups([group('0')], { maxDepth: 9, maxGroups: 2 }, chain.parentsOf)).rejects.toThrow(
      'the user is in more than 2 groups: narrow groups.filter or groups.base, or raise groups.maxGroups',
    );
    expect(await walkGroups([group('0')], { maxDepth: 3, maxGroups: 3 }, chain.parentsOf)).toHaveLength(3);
  });

  test('counts the direct groups too when groups of groups do not count', async () => {
    const direct = ['0', '1', '1'].map(group);
    expect(await walkGroups(direct, { maxDepth: 1, maxGroups: 2 })).toHaveLength(2);
    await expect(walkGroups(direct, { maxDepth: 1, maxGroups: 1 })).rejects.toMatchObject({ code: 'failed' });
  });

  test('takes two spellings of a DN for two groups', async () => {
    expect(await walkGroups([group('cn=a'), group('CN=a')], generous)).toHaveLength(2);
  });
});
