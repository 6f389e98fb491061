import { expect, test } from 'vitest';
import { canHaveGroup } from './second-factor-rules.ts';
import { folderWithProbe, pluginSource } from './testing/config-folder.ts';

test.each([
  ['corp:', undefined, [], 'corp:k8s-admins', true],
  ['corp:', undefined, [], 'k8s-admins', false],
  ['corp:', ['k8s-*'], [], 'corp:k8s-admins', true],
  ['corp:', ['k8s-*'], [], 'corp:admins', false],
  ['corp:', ['corp:k8s-*'], [], 'corp:k8s-admins', false],
  ['corp:', [], [], 'corp:k8s-admins', false],
  ['', undefined, [], 'k8s-admins', true],
  // kube-apiserver adds it, after the review.
  ['', undefined, [], 'system:authenticated', false],
  ['', undefined, ['system:masters'], 'system:masters', true],
] as const)(
  'prefix %j, allow %j, allowSystemNames %j: a user can be in %s: %s',
  (prefix, allow, allowSystemNames, group, is) => {
    const groups = { prefix, max: 10, ...(allow && { allow }) };
    expect(canHaveGroup({ groups, allowSystemNames }, group)).toBe(is);
  },
);

test.each([
  { groups: ['corp:k8s-admins'], expected: [] },
  {
    groups: ['corp:k8s-admins'],
    allow: 'corp:k8s-*',
    expected: [
      'login.secondFactor.required.groups[0]: no user of corp can be in "corp:k8s-admins": see groups.prefix, groups.allow and allowSystemNames there: write groups.allow there without groups.prefix: it is compared with the names of the backend',
    ],
  },
  {
    groups: ['corp:k8s-admins', 'k8s-ops'],
    expected: [
      'login.secondFactor.required.groups[1]: no user of corp can be in "k8s-ops": see groups.prefix, groups.allow and allowSystemNames there: write the group as Kubernetes sees it, such as corp:k8s-admins, or let it pass groups.allow',
    ],
  },
])('login.secondFactor.required: groups $groups', async ({ groups, allow = 'k8s-*', expected }) => {
  await using folder = await folderWithProbe(pluginSource('z.strictObject({})'));
  await folder.write('issuer.js', pluginSource('z.strictObject({})', 'createTokenIssuer() {}'));
  const login = {
    publicUrl: 'https://login.example.com',
    authenticators: ['corp'],
    sessions: 'sessions',
    secondFactor: { required: { groups }, redis: { url: 'rediss://redis.example.com' } },
  };
  const authenticators = [
    { name: 'corp', use: './probe.js', groups: { prefix: 'corp:', allow: [allow] } },
    { name: 'sessions', use: './issuer.js' },
  ];
  const problems = await folder.problems(JSON.stringify({ login, authenticators }, undefined, 1));
  const ofGroups = problems.filter((problem) => problem.includes('groups'));
  expect(ofGroups.map((problem) => problem.replace(/^gateway\.yaml:\d+:\d+: /, ''))).toEqual(
    expected,
  );
});
